// `npm run hunt [-- --minutes N]`: bundles bench/hunt.ts and runs it.
import { spawn } from 'node:child_process'
import { build } from 'esbuild'

await build({
  entryPoints: ['bench/hunt.ts'],
  outdir: 'dist/bench',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
})
const child = spawn(process.execPath, ['dist/bench/hunt.js', ...process.argv.slice(2)], { stdio: 'inherit' })
process.on('SIGINT', () => {}) // the hunt ends the history under way, and sums up
child.on('exit', (code) => process.exit(code ?? 1))
