// `npm test`: builds what the process-level tests start, then runs vitest. Arguments go to vitest.
import { spawn } from 'node:child_process'
import { build } from './build.mjs'

await build()
const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
