// Bundles programs of bench/ into dist/bench/, and says how Node runs them.
import { build } from 'esbuild'

/**
 * What is counted is CPU time, and of a hunt each core has a process: threads that collect garbage beside it take more of it than
 * they save. Much is soon gone, so that a larger young generation saves some. Processes that are forked are run the same way.
 */
export const nodeOptions = ['--single-threaded-gc', '--max-semi-space-size=32']

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
