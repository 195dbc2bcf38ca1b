import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { annotation } from '../../model/names.ts'
import type { Store, WatchSink } from '../../store/contract.ts'
import { History } from '../../store/history.ts'
import type { Stored } from '../../store/stored.ts'
import { Process } from '../kernel/process.ts'
import { Twin } from '../twin.ts'
import { setupOfTest } from './play.fixture.ts'
import { playScenario } from './play.ts'

const { begin } = Twin.prototype
/** Half an hour after it began the job runs. */
const amidMs = 1_800_000
let meddle: (twin: Twin) => void = () => {}

beforeEach(() => {
  vi.spyOn(Twin.prototype, 'begin').mockImplementation(async function (this: Twin) {
    await begin.call(this)
    this.clock.after(amidMs, () => meddle(this))
  })
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** The first rule that breaks where one process of the control plane does what none should. */
async function brokenBy(process: string, act: (store: Store) => Promise<unknown>): Promise<string> {
  meddle = (twin) => void act(twin.kitOf(new Process(process)).store)
  return await broken()
}

async function broken(): Promise<string> {
  const played = await playScenario(setupOfTest('  controlPlane: {replicas: 2}\n'), 1)
  if (played.kind !== 'broken') return played.kind
  const [{ invariant, message } = { invariant: '', message: '' }] = played.violations
  return `${invariant}: ${message}`
}

test('in a scenario recovery closes no more than its budget', async () => {
  const close = (store: Store, name: string) =>
    store.patch(
      'Node',
      { name },
      { metadata: { annotations: { [annotation.cordonedBecause]: 'a whim' } }, spec: { unschedulable: true } },
    )
  const said = await brokenBy('control-0', async (store) => {
    await close(store, 'n-0')
    await close(store, 'n-1')
  })
  expect(said).toBe('budget: recovery closed node n-1, number 2 of 2 in its pool')
})

test('in a scenario only who leads writes, and sends what is refused', async () => {
  const patch = (name: string) => (store: Store) =>
    store.patch('Node', { name }, { metadata: { labels: { mark: '1' } } })
  expect(await brokenBy('control-1', patch('n-0'))).toBe('leaders: control-1 writes a Node, and control-0 leads')
  expect(await brokenBy('control-1', patch('none'))).toBe('leaders: control-1 writes a Node, and control-0 leads')
  expect(await brokenBy('control-0', patch('n-0'))).toBe('played')
})

test('in a scenario a job says how many members sit', async () => {
  const said = await brokenBy('control-0', (store) =>
    store.patch('TrainingJob', { name: 'big', namespace: 'default' }, { status: { workers: 1 } }, { status: true }),
  )
  expect(said).toBe('jobs: job default/big says that 1 workers run, and 2 sit')
})

test('in a scenario nobody is told to end at once', async () => {
  const said = await brokenBy('control-0', async (store) => {
    const [pod] = (await store.list('Pod')).items
    const { name = '', namespace } = pod?.metadata ?? {}
    await store.delete('Pod', { name, namespace }, { gracePeriodSeconds: 1 })
  })
  expect(said).toMatch(/^grace: pod default\/big-.* was promised 30000 ms to stop, and has 1000$/)
})

test('in a scenario watches leave nothing out', async () => {
  const { watch } = History.prototype
  let isDeaf = false
  meddle = () => {
    isDeaf = true
  }
  vi.spyOn(History.prototype, 'watch').mockImplementation(function (this: History, kind, from, which, sink) {
    const event: WatchSink<Stored>['event'] = (told) => {
      if (!isDeaf || kind !== 'TrainingJob') sink.event(told)
      isDeaf &&= kind !== 'TrainingJob'
    }
    return watch.call(this, kind, from, which, { ...sink, event })
  })
  expect(await broken()).toMatch(/^watches: a watch of TrainingJob from revision [0-9]+ tells of/)
})

test('in a scenario time does not stand still', async () => {
  meddle = ({ clock }) => {
    const again = () => void clock.after(0, again)
    again()
  }
  expect(await broken()).toBe('calm: time stands still: somebody works in circles')
})

test('in a scenario what is deleted goes', async () => {
  const told = await brokenBy('n-9/0', async (store) => {
    const [pod] = (await store.list('Pod')).items
    const { name = '', namespace } = pod?.metadata ?? {}
    await store.patch('Pod', { name, namespace }, { metadata: { finalizers: ['example.com/keep'] } })
    await store.patch('TrainingJob', { name: 'big', namespace: 'default' }, { spec: { suspend: true } })
  })
  expect(told).toBe('machines: for an hour pod big-worker-0-1 was deleted, and is there under n-0/0')
})
