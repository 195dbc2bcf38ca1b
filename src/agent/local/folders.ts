import { join } from 'node:path'
import { OperatingError } from '../../base/errors.ts'

/** Where a pod's things lie under the agent's folder. */
export function podFolder(dir: string, uid: string) {
  // The uid comes from the store; it must not lead anywhere else.
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,100}$/.test(uid))
    throw new OperatingError('invalid', 'give-up', `${JSON.stringify(uid)} is not a uid`)
  const root = join(dir, 'pods', uid)
  return {
    root,
    claim: join(root, 'claim'),
    exit: join(root, 'exit'),
    log: join(root, 'log'),
    olderLog: join(root, 'log.1'),
    stamps: join(root, 'stamps'),
    progress: join(root, 'progress'),
    control: join(root, 'control'),
    checkpoints: join(root, 'checkpoints'),
    output: join(root, 'output'),
    data: join(root, 'data'),
    model: join(root, 'model'),
  }
}
export type PodFolder = ReturnType<typeof podFolder>
