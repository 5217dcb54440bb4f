// @ts-check
import eslint from '@eslint/js';
import angular from 'angular-eslint';
import prettier from 'eslint-config-prettier';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Which part of src/app may not import what: features → core, ui; core and ui stand alone. */
const forbid = (patterns) => ({
  'no-restricted-imports': ['error', { patterns }],
});
const NETWORK = {
  group: ['@angular/common/http', 'socket.io-client'],
  message: 'Only src/app/core knows HTTP and sockets.',
};

export default defineConfig([
  { ignores: ['dist/', '.angular/', 'src/app/core/api/generated/'] },
  {
    files: ['**/*.ts'],
    extends: [
      eslint.configs.recommended,
      tseslint.configs.strict,
      tseslint.configs.stylistic,
      angular.configs.tsRecommended,
    ],
    processor: angular.processInlineTemplates,
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@angular-eslint/prefer-on-push-component-change-detection': 'error',
      '@angular-eslint/prefer-signals': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-empty-function': 'off',
      eqeqeq: 'error',
      'max-lines': ['error', 400],
    },
  },
  {
    files: ['src/app/features/**/*.ts'],
    ignores: ['**/*.spec.ts'],
    rules: forbid([NETWORK, { group: ['**/generated/**'], message: 'Import core/api/types.' }]),
  },
  {
    files: ['src/app/ui/**/*.ts'],
    rules: forbid([
      NETWORK,
      { group: ['../core/**', '../features/**'], message: 'ui stands alone.' },
    ]),
  },
  {
    files: ['src/app/core/**/*.ts'],
    rules: forbid([{ group: ['../**/features/**', '../**/ui/**'], message: 'core stands alone.' }]),
  },
  {
    files: ['**/*.html'],
    extends: [angular.configs.templateRecommended, angular.configs.templateAccessibility],
  },
  {
    files: ['**/*.mjs'],
    extends: [eslint.configs.recommended],
    languageOptions: { globals: { process: 'readonly', console: 'readonly' } },
  },
  prettier,
]);
