import { mkdir } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, sep } from 'node:path'
import { OperatingError } from '../base/errors.ts'
import { createFileBlobs } from '../blob/file/blobs.ts'
import type { Model } from '../model/kinds/model.ts'
import { pathsIn } from './paths.ts'

/** Copies a model's files into `folder`, each verified; returns their paths. */
export async function pullModel(dir: string, model: Model, folder: string): Promise<string[]> {
  const blobs = createFileBlobs({ dir: pathsIn(dir).blobs })
  const written: string[] = []
  for (const file of model.spec.files) {
    const path = join(folder, inside(file.path))
    await mkdir(dirname(path), { recursive: true })
    const got = await blobs.getFile(file.sha256, path)
    if (got !== 'ok')
      throw new OperatingError(
        'blob',
        'give-up',
        `${model.metadata.name}: ${file.path} is ${got} in the blob store; nothing was kept of it`,
      )
    written.push(path)
  }
  return written
}

/** A manifest names files inside its own folder only. */
function inside(path: string): string {
  const clean = normalize(path)
  if (isAbsolute(clean) || clean === '..' || clean.startsWith(`..${sep}`)) {
    throw new OperatingError('blob', 'give-up', `the model names a file outside its folder: ${path}`)
  }
  return clean
}
