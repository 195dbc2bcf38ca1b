// `npm run hunt [-- --minutes N]`: bundles bench/hunt.ts and who plays for it, and runs it.
// Histories make much that is soon gone: a larger young generation is 4 % less CPU time.
import { spawn } from 'node:child_process'
import { bundle } from './bundle.mjs'

await bundle('bench/hunt.ts', 'bench/hunt/child.ts')
const child = spawn(process.execPath, ['--max-semi-space-size=64', 'dist/bench/hunt.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.on('SIGINT', () => {}) // the hunt ends the history under way, and sums up
child.on('exit', (code) => process.exit(code ?? 1))
