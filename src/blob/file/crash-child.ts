import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Blobs } from '../contract.ts'
import { createFileBlobs } from './blobs.ts'
import { shipFolder } from './folder.ts'

/**
 * Started by the crash harness: writes checkpoints and ships them, and reports each one that was acknowledged as a line
 * `STEP DIGEST`. It is killed at any moment, or kills itself at a named point: before or after its n-th write to the
 * store. Every line that came out must be true afterwards.
 */
const [dir = '', first = '0', point = ''] = process.argv.slice(2)
const [side, count] = point.split('-')
const stored = createFileBlobs({ dir: join(dir, 'blobs') })
let writes = 0

async function atPoint<T>(write: () => Promise<T>): Promise<T> {
  writes += 1
  const isPoint = writes === Number(count)
  if (isPoint && side === 'before') process.kill(process.pid, 'SIGKILL')
  const result = await write()
  if (isPoint && side === 'after') process.kill(process.pid, 'SIGKILL')
  return result
}
const blobs: Blobs = {
  ...stored,
  put: (key, bytes) => atPoint(() => stored.put(key, bytes)),
  putFile: (path) => atPoint(() => stored.putFile(path)),
}
const local = join(dir, 'local')
mkdirSync(local, { recursive: true })
process.stdout.write('up\n')
for (let step = Number(first); ; step++) {
  const folder = join(local, `step-${step}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(`${folder}.tmp`, { recursive: true })
  writeFileSync(join(`${folder}.tmp`, 'model.bin'), Buffer.alloc(64 * 1024, `${step} `))
  writeFileSync(join(`${folder}.tmp`, 'same.json'), '{"the":"same in all"}')
  renameSync(`${folder}.tmp`, folder)
  const { digest } = await shipFolder(blobs, folder, `checkpoints/j/step-${step}/rank-0/manifest.json`, { step })
  process.stdout.write(`${step} ${digest}\n`)
  rmSync(folder, { recursive: true })
}
