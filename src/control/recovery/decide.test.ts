import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { type TrainingJob, trainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { gangNamed, groupOf } from '../../scheduler/gang.fixture.ts'
import type { End } from './cause.ts'
import { decideRestart } from './decide.ts'
import { type RecoveryRecord, recoveryAnnotation, recoveryOf } from './record.ts'

const nowMs = 100_000

function job(maxRestarts = 2): TrainingJob {
  const spec = { command: ['train'], workers: 4, minWorkers: 1, maxRestarts, failurePolicy: { restart: 'worker' } }
  return trainingJob.parse({ apiVersion: millwrightVersion, kind: 'TrainingJob', metadata: { name: 'j' }, spec })
}

/** Four members of an accelerator each, for 100 s; `step`: of a checkpoint that it has in its third attempt. */
function gang(record: Partial<RecoveryRecord> = {}, step?: number): Gang {
  const made = gangNamed('j', [groupOf(1, { max: 4 })], { attempt: 3, rejoins: true })
  const members = [0, 1, 2, 3].map((rank) => {
    const devices = [{ id: `${rank}`, milli: 1000 }]
    return { pod: `j-worker-${rank}-3`, group: 'worker', rank, localRank: 0, node: `n${rank}`, devices, ports: [] }
  })
  const at = new Date(0).toISOString()
  const checkpoint =
    step === undefined ? {} : { checkpoint: { step, attempt: 3, at, digest: '', bytes: 0, manifests: [] } }
  const seats = { attempt: 3, epoch: 1, at, masterAddr: '', masterPort: 1, members }
  return {
    ...made,
    metadata: { ...made.metadata, annotations: { [recoveryAnnotation]: JSON.stringify(record) } },
    status: { conditions: [], checkpoints: [], seats, ...checkpoint },
  }
}

const end: End = {
  pod: 'j-worker-1-3',
  rank: 1,
  node: 'n1',
  atMs: 90_000,
  kind: 'killed',
  reason: 'Error',
  message: 'killed by SIGKILL',
  signal: 'SIGKILL',
}
const leaving = { pods: [end.pod], neverJoined: false }
const joining = { pods: [end.pod], neverJoined: true }
const known = { everStepped: true, suspects: [] }

/** What was known with something changed, and what is after each of these ends in a row. */
function after(first: Gang, ...ends: [Partial<End>, typeof leaving | undefined][]) {
  let [of, decision] = [first, decideRestart(job(), first, end, known, nowMs)]
  for (const [cause, leavers] of ends) {
    decision = decideRestart(job(), of, { ...end, ...cause }, { ...known, leavers }, nowMs)
    of = { ...gang(decision.record), status: of.status }
  }
  return decision
}

test('where the others go on nothing is lost and no restart is counted, but who was replaced', () => {
  const before = { restarts: 2, restartsSinceProgress: 1, lostSeconds: 7, replaced: 5, replacedSinceProgress: 1 }
  const { record, cordon } = after(gang(before), [{}, leaving])
  expect(record).toEqual({
    ...recoveryOf(gang(before)),
    replaced: 6,
    replacedSinceProgress: 2,
    last: {
      attempt: 3,
      reason: 'Killed',
      message: 'j-worker-1-3 (rank 1 on n1): killed by SIGKILL; the others go on',
      pod: end.pod,
      at: new Date(end.atMs).toISOString(),
    },
  })
  expect(cordon).toBeUndefined()
  expect(after(gang(before), [{}, { ...leaving, pods: ['a', 'b'] }]).record.replaced).toBe(7)
})

test('where all start again it is a restart, and nobody is counted as replaced since', () => {
  const { record } = after(gang({ replaced: 5, replacedSinceProgress: 4 }), [{}, undefined])
  expect(record).toMatchObject({ restarts: 1, restartsSinceProgress: 1, replaced: 5, replacedSinceProgress: 0 })
  expect(record).toMatchObject({ lostSeconds: 400, nodes: { n1: 1 } })
  expect(record.last?.message).toMatch(/; attempt 4 starts from the beginning$/)
})

test('who was replaced is counted from the last checkpoint on', () => {
  const replaced = (progress: string) =>
    after(gang({ replacedSinceProgress: 3, progress }, 20), [{}, leaving]).record.replacedSinceProgress
  expect(replaced('3/20')).toBe(4)
  expect(replaced('3/10')).toBe(1)
})

test('who failed before his first step is a restart that failed, of his node too', () => {
  const twice = after(gang(), [{}, joining], [{}, joining])
  expect(twice.record).toMatchObject({ restarts: 0, restartsSinceProgress: 2, replaced: 2, nodes: { n1: 2 } })
  expect(twice.record).not.toHaveProperty('failed')
  expect(after(gang(), [{}, joining], [{}, joining], [{}, joining]).record.failed).toEqual({
    reason: 'TooManyRestarts',
    message: 'j-worker-1-3 (rank 1): killed by SIGKILL; after 2 restarts without a new checkpoint',
  })
  expect(after(gang({ nodes: { n1: 2 } }), [{}, joining])).toMatchObject({ cordon: 'n1', record: { nodes: {} } })
  expect(after(gang({ nodes: { n1: 2 } }), [{}, leaving]), 'he had done steps there').not.toHaveProperty('cordon')
})

test('what a drill did to a node is not held against it', () => {
  const often = gang({ nodes: { n1: 2 } })
  const decided = decideRestart(job(), often, end, { ...known, isDrilled: true }, nowMs)
  expect(decided).toMatchObject({ record: { restarts: 1, nodes: { n1: 2 } } })
  expect(decided).not.toHaveProperty('cordon')
  expect(decideRestart(job(), often, end, known, nowMs)).toHaveProperty('cordon', 'n1')
})

test('what a node failed before a checkpoint is forgotten with it, whatever ends the attempt after it', () => {
  const before = gang({ nodes: { n1: 2 }, progress: '3/10' }, 20)
  for (const kind of ['taken', 'unready', 'damaged'] as const)
    expect(after(before, [{ kind }, undefined], [{}, undefined]), kind).not.toHaveProperty('cordon')
  const same = gang({ nodes: { n1: 2 }, progress: '3/20' }, 20)
  expect(after(same, [{ kind: 'taken' }, undefined], [{}, undefined])).toHaveProperty('cordon')
})

test('an exit code that ends the job ends it, whoever could go on', () => {
  const of = job()
  of.spec.failurePolicy.failExitCodes = [9]
  const cause = { ...end, kind: 'exit', exitCode: 9 } as const
  const { record } = decideRestart(of, gang(), cause, { ...known, leavers: leaving }, nowMs)
  expect(record.failed?.reason).toBe('FailExitCode')
  expect(record.last?.message).not.toMatch('go on')
})

test('a joiner that cannot start for want of something counts as nothing, however often it is tried', () => {
  const unready: Partial<End> = { kind: 'unready', message: 'no Secret' }
  const { record } = after(
    gang(),
    ...Array.from({ length: 9 }, () => [unready, joining] as [Partial<End>, typeof joining]),
  )
  expect(record).toMatchObject({ unready: 9, restartsSinceProgress: 0, replaced: 0, replacedSinceProgress: 0 })
  expect(record.last?.message).toMatch(/; the others go on$/)
})
