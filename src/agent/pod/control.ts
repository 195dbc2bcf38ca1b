import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import type { Word } from '../contract.ts'

/**
 * Tells the job at which step to write a checkpoint, whether to stop there, and who works with it. The job reads whole
 * files only, perhaps as a container's user: the folders above keep everybody else out.
 */
export async function writeControl(path: string, { request, members }: Word): Promise<void> {
  const text = JSON.stringify({
    ...(request === undefined ? {} : { checkpoint: { step: request.step } }),
    ...(request?.stop === true ? { stop: { step: request.step } } : {}),
    ...(members === undefined ? {} : { members }),
  })
  const fresh = `${path}.${randomUUID()}`
  try {
    await writeFile(fresh, `${text}\n`, { mode: 0o644 })
    await rename(fresh, path)
  } catch (error) {
    await rm(fresh, { force: true })
    throw error
  }
}
