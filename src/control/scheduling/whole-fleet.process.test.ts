import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { silentLog } from '../../base/log.ts'
import { createManualClock } from '../../base/manual-clock.ts'
import { seededRandom } from '../../base/random.ts'
import { admit, admitUpdate } from '../../model/admission.ts'
import { gangOfJob } from '../../model/gangs.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { kinds } from '../../model/registry.ts'
import { statusAfter } from '../../scheduler/committed.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { createLmdbStore } from '../../store/lmdb/store.ts'

const root = mkdtempSync(join(tmpdir(), 'millwright-fleet-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const nodes = 10_000
const millwright = 'millwright.dev/v1alpha1'

function nodeOf(index: number): Node {
  const name = `node-${String(index).padStart(5, '0')}`
  const labels = { 'millwright.dev/accelerator': 'H100', 'millwright.dev/rack': `r${index >> 4}` }
  const allocatable = { cpu: '96', memory: '1Ti', 'nvidia.com/gpu': '8' }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {}, status: { allocatable } }
}

test('a gang over 80,000 accelerators is applied, seated and stored, and its seats are there after a restart', async () => {
  const spec = { command: ['train'], workers: nodes, resources: { accelerators: 'H100:8' } }
  const applied = admit(kinds.TrainingJob, {
    apiVersion: millwright,
    kind: 'TrainingJob',
    metadata: { name: 'whole' },
    spec,
  })
  if (!('object' in applied) || applied.object.kind !== 'TrainingJob') throw new Error('it is refused')
  const options = { dir: join(root, 'data'), clock: createManualClock(), random: seededRandom(1), log: silentLog }
  const store = await createLmdbStore(options)
  const created = await store.create('Gang', gangOfJob(applied.object))
  if (created === 'exists') throw new Error('the store is empty')

  const scheduler = createScheduler()
  const queue = { namespaces: ['*'], weight: 1, stopPolicy: 'None' as const }
  scheduler.apply({
    kind: 'Queue',
    object: { apiVersion: millwright, kind: 'Queue', metadata: { name: 'default' }, spec: queue },
  })
  for (let index = 0; index < nodes; index++) scheduler.apply({ kind: 'Node', object: nodeOf(index) })
  scheduler.apply({ kind: 'Gang', object: created })
  const verdict = scheduler.decide(0).find(({ kind }) => kind === 'bind')
  if (verdict === undefined) throw new Error('it does not sit')
  const seated = { ...created, status: statusAfter(created, verdict, { epoch: 1, nowMs: 0 }) }
  const written = await store.updateStatus('Gang', seated)
  if (written === 'stale' || written === 'missing') throw new Error(`its seats are ${written}`)
  await store.close()

  const again = await createLmdbStore(options)
  const stored = await again.get('Gang', { name: 'whole', namespace: 'default' })
  await again.close()
  const members = stored?.status?.seats?.members ?? []
  expect(members.flatMap(({ devices }) => devices)).toHaveLength(80_000)
  expect(JSON.stringify(stored).length, 'as long as a body that the API takes').toBeLessThan(4 * 1024 * 1024)
  expect(stored === undefined ? undefined : admitUpdate(kinds.Gang, stored, stored)).toHaveProperty('object')
}, 60_000)
