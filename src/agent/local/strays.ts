import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { endContainer } from './containers.ts'
import { podFolder } from './folders.ts'
import { freeCell } from './memory.ts'
import { bootId, isAlive, signalGroup } from './process.ts'
import { parseClaim } from './shim.ts'

/**
 * Ends the pods of logical nodes that this machine no longer presents itself as (`--nodes 2` after `--nodes 4`): no
 * agent will look for them. Call before the agents start. Returns how many were still running.
 */
export async function endStrays(dir: string, nodes: readonly string[]): Promise<number> {
  let running = 0
  for (const uid of await readdir(join(dir, 'pods')).catch(() => [])) {
    const folder = podFolder(dir, uid)
    const claim = parseClaim(await readFile(folder.claim, 'utf8').catch(() => ''))
    if (claim === undefined || nodes.includes(claim.node)) continue
    if (claim.boot === bootId && isAlive(claim.shim)) {
      signalGroup(claim.shim.pid, 'SIGKILL')
      running += 1
    }
    await endContainer(dir, uid)
    await freeCell(folder)
    await rm(folder.root, { recursive: true, force: true, maxRetries: 3 })
  }
  return running
}
