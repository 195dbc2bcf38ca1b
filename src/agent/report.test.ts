import { beforeEach, expect, test } from 'vitest'
import { storeUnreachable } from '../base/errors.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { processOf } from '../base/process.fixture.ts'
import { seededRandom } from '../base/random.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { createPodReport } from './report.ts'

/** Reports of pods that have one name, one after the other. */

const pod = { name: 'j-worker-0-1', namespace: 'default' }
const ref = { name: `pod.${pod.name}`, namespace: 'default' }
let clock: ManualClock
let store: Store
beforeEach(() => {
  clock = createManualClock()
  store = createMemoryStore({ clock, random: seededRandom(1) })
})

test('one that is cut off until a younger pod has reported leaves the Report of that one alone', async () => {
  let isAway = true
  const create: Store['create'] = (...of) => (isAway ? Promise.reject(storeUnreachable()) : store.create(...of))
  const older = reportOf(await bound(), { ...store, create })
  older.change({ step: 1 }, true)
  await clock.advance(1_000)
  await store.delete('Pod', pod)
  const younger = await bound()
  const report = reportOf(younger)
  report.change({ step: 2 }, true)
  await report.flush()
  isAway = false
  await clock.advance(10_000)
  expect(await told()).toEqual([younger.metadata.uid, 2])
  report.change({ step: 3 }, true)
  await report.flush()
  expect(await told()).toEqual([younger.metadata.uid, 3])
})

test('what an older pod left is replaced; what somebody deletes is written anew while the pod is there', async () => {
  const older = reportOf(await bound())
  older.change({ step: 1 }, true)
  await older.flush()
  await store.delete('Pod', pod)
  const younger = await bound()
  const report = reportOf(younger)
  report.change({ step: 2 }, true)
  await report.flush()
  expect(await told()).toEqual([younger.metadata.uid, 2])
  await store.delete('Report', ref)
  report.change({ step: 3 }, true)
  await report.flush()
  expect(await told()).toEqual([younger.metadata.uid, 3])
  await store.delete('Pod', pod)
  await store.delete('Report', ref)
  report.change({ step: 4 }, true)
  await report.flush()
  expect(await told()).toEqual([undefined, undefined])
})

function reportOf(of: Pod, through = store) {
  return createPodReport({ ...processOf(clock, 2), store: through, pod: of, node: 'n0', everyMs: 1_000 })
}

async function bound(): Promise<Pod> {
  const spec = { nodeName: 'n0', terminationGracePeriodSeconds: 0, containers: [{ name: 'main', command: ['train'] }] }
  const made = await store.create('Pod', { apiVersion: 'v1', kind: 'Pod', metadata: pod, spec })
  if (made === 'exists') throw new Error('it exists')
  return made
}

async function told() {
  const report = await store.get('Report', ref)
  return [report?.spec.pod?.uid, report?.status?.step]
}
