// Builds dist/ from src/ and examples/ when a source is newer than the last build. Bundled with code splitting, so
// that a command loads only what it uses; packages stay external. Types are emitted by `npm run typecheck -- --declaration`.
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'dist', '.built')

/** Newest modification time, in ms, of the files under `folder`. */
function newest(folder) {
  let latest = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs)
  }
  return latest
}

export async function build({ force = false } = {}) {
  const sources = Math.max(
    newest(join(root, 'src')),
    newest(join(root, 'examples')),
    statSync(join(root, 'package.json')).mtimeMs,
    statSync(fileURLToPath(import.meta.url)).mtimeMs,
  )
  const built = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (!force && built > sources) return false
  const { build: bundle } = await import('esbuild')
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  await bundle({
    absWorkingDir: root,
    entryPoints: entryPoints(),
    outdir: 'dist',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    chunkNames: 'chunks/[name]-[hash]',
    sourcemap: true,
    logLevel: 'warning',
  })
  writeFileSync(stamp, '')
  return true
}

function entryPoints() {
  const wanted = {
    index: 'src/index.ts',
    'bin/millwright': 'src/cli/main.ts',
    'bin/millwright-engine': 'src/engine/main.ts',
    'examples/tiny-llama/train': 'examples/tiny-llama/train.ts',
    'examples/demo/demo': 'examples/demo/demo.ts',
  }
  return Object.fromEntries(
    Object.entries(wanted).filter(([, path]) => statSync(join(root, path), { throwIfNoEntry: false })),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = Date.now()
  const built = await build({ force: process.argv.includes('--force') })
  console.log(built ? `built dist/ in ${Date.now() - started} ms` : 'dist/ is up to date')
}
