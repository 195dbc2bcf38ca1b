// Bundles programs of bench/ into dist/bench/.
import { build } from 'esbuild'

export function bundle(...entryPoints) {
  return build({
    entryPoints,
    outdir: 'dist/bench',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    sourcemap: true,
    logLevel: 'warning',
  })
}
