import { expect, test } from 'vitest'
import { seededRandom } from '../base/random.ts'
import {
  abandoned,
  accepted,
  admit,
  admitHeld,
  afterFailure,
  type Breaker,
  chooseReplica,
  closedBreaker,
  defaultLimits,
  probing,
  refused,
} from './decide.ts'

const replica = (key: string, inFlight: number, breaker: Breaker = closedBreaker) => ({ key, inFlight, breaker })
const random = seededRandom(1)

test('the least loaded replica is chosen, and ties are drawn at random', () => {
  const replicas = [replica('a', 2), replica('b', 1), replica('c', 3)]
  expect(chooseReplica(replicas, 8, 0, random)).toEqual({ kind: 'send', key: 'b', probe: false })
  const tied = [replica('a', 1), replica('b', 1), replica('c', 1)]
  const draws = Array.from({ length: 300 }, () => chooseReplica(tied, 8, 0, random))
  const counts = ['a', 'b', 'c'].map((key) => draws.filter((draw) => draw.kind === 'send' && draw.key === key).length)
  for (const count of counts) expect(count).toBeGreaterThan(60)
  expect(chooseReplica([replica('a', 8)], 8, 0, random)).toEqual({ kind: 'none' })
})

test('one that refuses connections is out for longer each time, is probed by one request, and comes back', () => {
  const once = refused(closedBreaker, 1000)
  expect(once).toEqual({ state: 'open', failures: 1, untilMs: 1500 })
  expect(chooseReplica([replica('a', 0, once)], 8, 1499, random)).toEqual({ kind: 'none', retryAtMs: 1500 })
  const both = [replica('b', 0), replica('a', 0, once)]
  expect(chooseReplica(both, 8, 1500, random)).toEqual({ kind: 'send', key: 'a', probe: true })
  const probed = probing(once)
  expect(chooseReplica([replica('a', 0, probed)], 8, 9000, random)).toEqual({ kind: 'none' })
  expect(refused(probed, 2000)).toEqual({ state: 'open', failures: 2, untilMs: 3000 })
  expect(abandoned(probed).state).toBe('open') // its client left: the next request probes
  expect(accepted()).toEqual(closedBreaker)
  let breaker: Breaker = closedBreaker
  for (let i = 0; i < 50; i++) breaker = refused(breaker, 0)
  expect(breaker).toMatchObject({ untilMs: 30_000 })
})

test('a request is sent again only where it cannot have been worked on', () => {
  const first = { tookMs: 5, again: false }
  const kept = { sent: true, reused: true, responseBytes: false }
  const never = { retry: false, ejects: false }
  expect(afterFailure({ ...kept, sent: false, reused: false }, first)).toEqual({ retry: true, ejects: true })
  expect(afterFailure(kept, first)).toEqual({ retry: true, ejects: false })
  expect(afterFailure({ ...kept, reused: false }, first)).toEqual(never)
  expect(afterFailure({ ...kept, responseBytes: true }, first)).toEqual(never)
  expect(afterFailure(kept, { ...first, tookMs: 700 })).toEqual(never)
  expect(afterFailure(kept, { ...first, again: true })).toEqual(never)
})

test('admission says what is too much, and when to come back', () => {
  const load = { suspended: false, broken: undefined, inFlight: 0, held: 0, heldBytes: 0, requestBytes: 10 }
  expect(admit('chat', load, defaultLimits)).toEqual({ kind: 'admit' })
  expect(admit('chat', { ...load, suspended: true }, defaultLimits)).toMatchObject({ status: 503 })
  expect(admit('chat', { ...load, inFlight: 4096 }, defaultLimits)).toMatchObject({ status: 429, retryAfterSeconds: 1 })
  expect(admitHeld('chat', { ...load, broken: 'its model is gone' }, defaultLimits)).toMatchObject({
    status: 503,
    message: 'chat cannot answer: its model is gone. See: millwright describe service chat',
  })
  expect(admitHeld('chat', { ...load, held: 512 }, defaultLimits)).toMatchObject({ status: 429 })
  expect(admitHeld('chat', { ...load, heldBytes: 134_217_720 }, defaultLimits)).toMatchObject({ status: 429 })
})
