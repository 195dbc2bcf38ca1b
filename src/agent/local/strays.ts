import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { endContainer } from './containers.ts'
import { podFolder, removeFolder } from './folders.ts'
import { killLeftovers, killTree } from './kill.ts'
import { freeCell } from './memory.ts'
import { bootId, isAlive } from './process.ts'
import { parseClaim } from './shim.ts'

/**
 * Ends what no agent will look for: pods of logical nodes that this machine no longer presents itself as (`--nodes 2` after
 * `--nodes 4`), folders of pods that never began and are not in the store any more, and what a fetch or a removal that was
 * cut short has left. Call before the agents start. `uids`: of the pods in the store. Returns how many were still running.
 */
export async function endStrays(dir: string, nodes: readonly string[], uids: ReadonlySet<string>): Promise<number> {
  let running = 0
  for (const parent of [join(dir, 'cache'), join(dir, 'pods')]) await removeHalves(parent)
  for (const uid of await readdir(join(dir, 'pods')).catch(() => [])) {
    const folder = podFolder(dir, uid)
    const claim = parseClaim(await readFile(folder.claim, 'utf8').catch(() => ''))
    if (claim === undefined ? uids.has(uid) : nodes.includes(claim.node)) continue
    if (claim?.boot === bootId && isAlive(claim.shim)) {
      await killTree(claim.shim.pid)
      running += 1
    }
    if (claim?.boot === bootId) killLeftovers(uid)
    await endContainer(dir, uid)
    await freeCell(folder)
    await removeFolder(folder)
  }
  return running
}

async function removeHalves(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => []))
    if (name.startsWith('.')) await rm(join(parent, name), { recursive: true, force: true, maxRetries: 3 })
}
