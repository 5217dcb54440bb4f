/**
 * Types of the API, from the document that the server writes; `npm run api:check` tells when they drift apart.
 *
 * @type {import('@hey-api/openapi-ts').UserConfig}
 */
export default {
  input: '../api/openapi.json',
  output: { path: 'src/app/core/api/generated', clean: true },
  plugins: ['@hey-api/typescript'],
};
