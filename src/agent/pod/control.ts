import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'

/**
 * Tells the job at which step to write a checkpoint, and whether to stop there. The job reads whole files only, perhaps as
 * a container's user: the folders above keep everybody else out.
 */
export async function askForCheckpoint(path: string, request: { step: number; stop: boolean }): Promise<void> {
  const { step } = request
  const text = JSON.stringify({ checkpoint: { step }, ...(request.stop ? { stop: { step } } : {}) })
  const fresh = `${path}.${randomUUID()}`
  try {
    await writeFile(fresh, `${text}\n`, { mode: 0o644 })
    await rename(fresh, path)
  } catch (error) {
    await rm(fresh, { force: true })
    throw error
  }
}
