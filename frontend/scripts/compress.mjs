// Writes a brotli (.br) and a gzip (.gz) copy beside every script and style sheet of the built page, so that the web
// server compresses nothing while somebody waits. `npm run compress`, after `npm run build`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, URL } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const folder = fileURLToPath(new URL('../dist/browser', import.meta.url));
const before = { files: 0, bytes: 0 };
const after = { br: 0, gz: 0 };

for (const entry of readdirSync(folder, { recursive: true })) {
  if (!/\.(js|css)$/.test(entry)) continue;
  const path = join(folder, entry);
  const content = readFileSync(path);
  const br = brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  });
  const gz = gzipSync(content, { level: 9 });
  writeFileSync(`${path}.br`, br);
  writeFileSync(`${path}.gz`, gz);
  before.files += 1;
  before.bytes += content.length;
  after.br += br.length;
  after.gz += gz.length;
}

console.log(
  `${before.files} files, ${before.bytes} bytes: ${after.br} as brotli, ${after.gz} as gzip`,
);
