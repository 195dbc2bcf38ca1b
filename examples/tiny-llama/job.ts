import { appendFileSync, readFileSync, statSync } from 'node:fs'

/** The job's side of the contract with millwright. Nothing of it is needed to run by hand. */
export interface Job {
  rank: number
  worldSize: number
  masterAddr: string
  masterPort: number
  dataDir: string | undefined
  outputDir: string | undefined
  checkpointDir: string | undefined
  /** Appends one line to MILLWRIGHT_PROGRESS. */
  report(line: object): void
  /** What MILLWRIGHT_CONTROL asks for: a checkpoint at a step, a stop at a step. */
  asked(): { checkpoint: number; stop: number }
}

export function jobFromEnvironment(env: NodeJS.ProcessEnv): Job {
  const progress = env['MILLWRIGHT_PROGRESS']
  const control = env['MILLWRIGHT_CONTROL']
  let seen = { checkpoint: 0, stop: 0 }
  let modified = -1
  let looked = 0
  return {
    rank: Number(env['RANK'] ?? 0),
    worldSize: Number(env['WORLD_SIZE'] ?? 1),
    masterAddr: env['MASTER_ADDR'] ?? '127.0.0.1',
    masterPort: Number(env['MASTER_PORT'] ?? 29_500),
    dataDir: env['MILLWRIGHT_DATA_DIR'],
    outputDir: env['MILLWRIGHT_OUTPUT_DIR'],
    checkpointDir: env['MILLWRIGHT_CHECKPOINT_DIR'],
    report: (line) => progress !== undefined && appendFileSync(progress, `${JSON.stringify(line)}\n`),
    asked: () => {
      if (control === undefined || Date.now() - looked < 100) return seen
      looked = Date.now()
      const at = statSync(control, { throwIfNoEntry: false })?.mtimeMs ?? -1
      if (at === modified) return seen
      modified = at
      try {
        const wish = JSON.parse(readFileSync(control, 'utf8')) as {
          checkpoint?: { step?: number }
          stop?: { step?: number }
        }
        seen = { checkpoint: wish.checkpoint?.step ?? 0, stop: wish.stop?.step ?? 0 }
      } catch {
        modified = -1 // half written or gone: look again
      }
      return seen
    },
  }
}
