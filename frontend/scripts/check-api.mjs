// Fails when src/app/core/api/generated is not what api/openapi.json makes it.
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createClient } from '@hey-api/openapi-ts';

import config from '../openapi-ts.config.mjs';

const COMMITTED = config.output.path;

async function contents(folder) {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
  return Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')]));
}

const folder = await mkdtemp(join(tmpdir(), 'tailwatch-api-'));
try {
  await createClient({
    ...config,
    output: { ...config.output, path: folder },
    logs: { level: 'silent' },
  });
  const same = JSON.stringify(await contents(folder)) === JSON.stringify(await contents(COMMITTED));
  console.log(
    same
      ? 'The types match api/openapi.json.'
      : `${COMMITTED} is out of date: run "npm run api" and commit.`,
  );
  process.exitCode = same ? 0 : 1;
} finally {
  await rm(folder, { recursive: true });
}
