// `npm run bench [-- NAME...] [--json]`: bundles bench/main.ts and runs it.
import { spawn } from 'node:child_process'
import { build } from 'esbuild'
import { build as buildProduct } from './build.mjs'

await buildProduct()
await build({
  entryPoints: ['bench/main.ts', 'bench/mutants/runner.ts'],
  outdir: 'dist/bench',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
})
const child = spawn(process.execPath, ['--expose-gc', 'dist/bench/main.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
child.on('exit', (code) => process.exit(code ?? 1))
