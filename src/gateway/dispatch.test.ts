import { beforeEach, expect, test } from 'vitest'
import { silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { inferenceService } from '../model/kinds/inference-service.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { label } from '../model/names.ts'
import type { SendEvents, Service } from './contract.ts'
import { defaultLimits } from './decide.ts'
import { Dispatch } from './dispatch.ts'
import { Routes } from './routes.ts'

let clock: ManualClock
let dispatch: Dispatch
let service: Service
/** Connections to the only replica that it has neither accepted nor refused yet, by request. */
let connecting: Map<string, SendEvents>
let ended: string[]

beforeEach(() => {
  clock = createManualClock()
  const random = seededRandom(1)
  dispatch = new Dispatch({ clock, random, log: silentLog, limits: defaultLimits, changed: () => {} })
  const routes = new Routes({ appeared: (one) => dispatch.wake(one), left: () => {} })
  const metadata = { name: 'chat', namespace: 'default' }
  const spec = { command: ['serve'] }
  service = routes.setService(
    inferenceService.parse({ apiVersion: millwrightVersion, kind: 'InferenceService', metadata, spec }),
  )
  routes.setPod({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'r1', namespace: 'default', uid: 'r1', labels: { [label.service]: 'chat' } },
    spec: { containers: [{ name: 'server', ports: [{ containerPort: 80 }] }], nodeName: 'a' },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  })
  connecting = new Map()
  ended = []
})

function ask(name: string): void {
  dispatch.submit({
    service,
    bytes: 1,
    arrivedMs: clock.now(),
    isAnswering: false,
    send: (_replica, events) => {
      connecting.set(name, events)
      return () => {}
    },
    refuse: ({ code }) => ended.push(`${name} ${code}`),
    fail: ({ body }) => ended.push(`${name} ${body.error.code}`),
    cut: () => ended.push(`${name} cut`),
    onLeave: () => {},
  })
}

function take(name: string): SendEvents {
  const events = connecting.get(name)
  if (events === undefined) throw new Error(`${name} is not on its way`)
  connecting.delete(name)
  return events
}

const refuse = (name: string) =>
  take(name).failed(new Error('refused'), { sent: false, reused: false, responseBytes: false })
const onTheirWay = () => [...connecting.keys()]

test('a probe that fails while others wait is followed by the next probe', async () => {
  ask('a')
  refuse('a')
  await clock.advance(1)
  ask('b')
  ask('c')
  await clock.advance(498)
  expect(onTheirWay()).toEqual([])
  await clock.advance(1)
  expect(onTheirWay()).toEqual(['a'])
  refuse('a')
  await clock.advance(999)
  expect(onTheirWay()).toEqual([])
  await clock.advance(1)
  expect(onTheirWay()).toEqual(['a'])
  expect(ended).toEqual([])
})

test('who waits is let in once the probe is accepted, not when it is answered', async () => {
  ask('a')
  refuse('a')
  ask('b')
  ask('c')
  await clock.advance(500)
  expect(onTheirWay()).toEqual(['a'])
  take('a').sent()
  expect(onTheirWay()).toEqual(['b', 'c'])
})

test('a kept connection that breaks is an excuse once, and at once', async () => {
  const breakOff = (name: string) =>
    take(name).failed(new Error('closed'), { sent: true, reused: true, responseBytes: false })
  ask('fatal')
  breakOff('fatal')
  expect(onTheirWay()).toEqual(['fatal'])
  breakOff('fatal')
  ask('long')
  await clock.advance(700)
  breakOff('long')
  expect(onTheirWay()).toEqual([])
  expect(ended).toEqual(['fatal replica_failed', 'long replica_failed'])
})
