// `npm run hunt [-- --minutes N]`: bundles bench/hunt.ts and who plays for it, and runs it.
import { spawn } from 'node:child_process'
import { bundle, nodeOptions } from './bundle.mjs'

await bundle('bench/hunt.ts', 'bench/hunt/child.ts')
const child = spawn(process.execPath, [...nodeOptions, 'dist/bench/hunt.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.on('SIGINT', () => {}) // the hunt ends the history under way, and sums up
child.on('exit', (code) => process.exit(code ?? 1))
