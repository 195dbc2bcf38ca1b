import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** The checkout, also when this file was bundled to somewhere else in it. */
export const packageRoot = rootAbove(dirname(fileURLToPath(import.meta.url)))

/** The child as one JavaScript file that plain Node runs. Gives its path. */
export async function bundleChild(): Promise<string> {
  const outdir = join(packageRoot, 'node_modules/.cache/millwright')
  const outfile = join(outdir, `store-crash-child-${process.pid}.mjs`)
  mkdirSync(outdir, { recursive: true })
  await build({
    absWorkingDir: packageRoot,
    entryPoints: ['src/store/lmdb/crash/child.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['lmdb'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  })
  return outfile
}

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder))
}
