// `npm start`: builds if needed, then runs the demo. Arguments go to the demo (`npm start -- --help`).
import { spawn } from 'node:child_process'
import { build } from './build.mjs'

await build()
const child = spawn(process.execPath, ['dist/bin/millwright.js', 'demo', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 130 : 0)))
