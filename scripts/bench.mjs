// `npm run bench [-- NAME...] [--json]`: bundles bench/main.ts and runs it.
import { spawn } from 'node:child_process'
import { build } from './build.mjs'
import { bundle, nodeOptions } from './bundle.mjs'

await build()
await bundle('bench/main.ts', 'bench/mutants/runner.ts', 'bench/hunt.ts', 'bench/hunt/child.ts')
const child = spawn(process.execPath, [...nodeOptions, '--expose-gc', 'dist/bench/main.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code) => process.exit(code ?? 1))
