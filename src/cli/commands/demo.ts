import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../../runtime/version.ts'
import { Exit, exit } from '../exit.ts'

/** The demo is an example that drives this very command line; it lives in examples/demo. */
export async function demo(rest: string[]): Promise<void> {
  const script = join(installation, 'dist', 'examples', 'demo', 'demo.js')
  if (!existsSync(script))
    throw new Exit(exit.failed, 'the demo is not built; run `npm run build` in a checkout of millwright.')
  const child = spawn(process.execPath, [script, ...rest], { stdio: 'inherit' })
  // The terminal sends Ctrl-C to the child as well; it stops the factory and then ends.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => signal === 'SIGTERM' && child.kill(signal))
  process.exitCode = await new Promise<number>((resolve) =>
    child.on('exit', (code) => resolve(code ?? exit.interrupted)),
  )
}
