import { relative, resolve } from 'node:path'
import { backupStore, restoreStore } from '../../runtime/backup.ts'
import { factoryDir, pathsIn } from '../../runtime/paths.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'

export async function backup(folder: string, global: Global): Promise<void> {
  const dir = factoryDir(global.dir)
  if (!relative(dir, resolve(folder)).startsWith('..'))
    throw new Exit(
      exit.usage,
      `${folder} is inside the factory's own folder ${dir}, and would be lost with it; name one outside.`,
    )
  await backupStore(pathsIn(dir).store, folder)
  console.log(
    `backed up the store of ${dir} to ${folder}; blobs are plain files in ${pathsIn(dir).blobs} (copy them with any tool)`,
  )
}

export async function restore(folder: string, global: Global): Promise<void> {
  const dir = factoryDir(global.dir)
  const kept = await restoreStore(folder, pathsIn(dir).store)
  console.log(`restored the store of ${dir}${kept === undefined ? '' : `; what was there is kept in ${kept}`}`)
  console.log(
    `Models and checkpoints are not in a backup: ${pathsIn(dir).blobs} must hold what the folder blobs of the backed-up factory held. Copy it from there if this is another machine or disk.`,
  )
}
