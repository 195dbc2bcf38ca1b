import { expect, test } from 'vitest'
import type { Seat } from '../../model/kinds/gang.ts'
import type { KindName } from '../../model/registry.ts'
import { Accounts } from './accounts.ts'
import { Audit, auditEvery } from './audit.ts'
import { entryOf } from './entry.fixture.ts'
import { Seats } from './seats.ts'

const seatOf = (pod: string, id: string) =>
  ({ pod, group: 'w', rank: 0, localRank: 0, node: 'n', devices: [{ id, milli: 1000 }], ports: [] }) satisfies Seat

function gangOf(name: string, seat: Seat, { min = 1, ...status }: { min?: number; hold?: unknown } = {}) {
  const spec = { attempt: 1, groups: [{ name: 'w', min, max: 2, accelerators: [] }] }
  const seats = { attempt: 1, epoch: 1, at: '2026-01-01T00:00:00Z', members: [seat] }
  return { metadata: { name, namespace: 'default', uid: name }, spec, status: { seats, ...status } }
}

const hold = (pod: string) => ({ attempt: 1, members: [seatOf(pod, 'g-9')], victims: [], at: '' })
const page = (slotMs: number) => ({
  metadata: { name: 'p' },
  spec: { node: 'n', accelerator: 'H100', fromMs: 0 },
  status: { slots: 1, capacitySlotMs: 10, throughMs: 10, provisional: [], entries: [{ slotMs }] },
})
const bound = {
  metadata: { name: 'a-0', namespace: 'default', uid: 'a-0', labels: { 'millwright.dev/gang': 'a' } },
  spec: { nodeName: 'n' },
}
type Write = [KindName, object]

/** What the audit says that comes with the thousandth write; of `unseen` the rules have not heard, and `corrupt` them. */
function audited(seen: Write[], unseen: Write[] = [], corrupt: (seats: Seats) => void = () => {}): string | undefined {
  const [seats, accounts] = [new Seats(0), new Accounts()]
  const audit = new Audit(seats, accounts)
  for (const [kind, object] of seen) {
    seats.check(entryOf(kind, object), 0, undefined)
    accounts.check(entryOf(kind, object))
  }
  corrupt(seats)
  const all = [...seen, ...unseen]
  for (const [kind, object] of all) expect(audit.check(entryOf(kind, object))).toBe(undefined)
  const other = entryOf('Queue', { metadata: { name: 'q' } })
  for (let count = all.length + 1; count < auditEvery; count++) expect(audit.check(other)).toBe(undefined)
  return audit.check(other)
}

const [a, b] = [gangOf('a', seatOf('a-0', 'g-0')), gangOf('b', seatOf('b-0', 'g-1'), { hold: hold('b-1') })]
const sound: Write[] = [
  ['Gang', a],
  ['Gang', b],
  ['Pod', bound],
  ['LedgerPage', page(10)],
]
/** What is kept is only to be read: here it is written. */
const mapOf = (map: unknown) => map as Map<string, Map<string, unknown>>

test('the audit finds what is sound to be so', () => {
  expect(audited(sound)).toBe(undefined)
})

test('the audit finds what is wrong whatever was seen of how it came', () => {
  expect(audited(sound, [['Gang', gangOf('c', seatOf('c-0', 'g-0'))]])).toBe(
    'n g-0 is seated twice: default/a-0 and default/c-0',
  )
  expect(audited(sound, [['Gang', gangOf('c', seatOf('c-0', 'g-3'), { hold: hold('c-1') })]])).toBe(
    'n g-9 is held twice: default/b-1 and default/c-1',
  )
  expect(audited(sound, [['Gang', gangOf('c', seatOf('c-0', 'g-3'), { min: 2 })]])).toBe(
    'gang default/c has 1 seats in group w, where it wants 2 to 2',
  )
  expect(audited(sound, [['LedgerPage', page(9)]])).toBe('page p accounts for 9 of 10 slot-milliseconds')
})

test('the audit finds an index that has gone astray', () => {
  expect(audited(sound, [['Gang', gangOf('a', seatOf('a-0', 'g-5'))]])).toBe('seats: default/a-0 is not as it is kept')
  expect(audited(sound, [], ({ index }) => void mapOf(index.seats).delete('default/b-0'))).toBe(
    'seats: default/b-0 is not as it is kept',
  )
  expect(audited(sound, [], ({ index }) => void mapOf(index.seats).set('default/z', new Map()))).toBe(
    'seats: default/z is kept, and is not so',
  )
  expect(audited(sound, [], ({ index }) => void mapOf(index.used).get('n g-0')?.clear())).toBe(
    'accelerators in use: n g-0 by default/a-0 is not as it is kept',
  )
  expect(audited(sound, [], ({ index }) => void mapOf(index.held).set('n g-2', new Map([['x', 1]])))).toBe(
    'accelerators held: n g-2 by x is kept, and is not so',
  )
  expect(audited(sound, [], ({ index }) => void (index.live as Set<string>).clear())).toBe(
    'pods that live: default/a-0 is not as it is kept',
  )
  const moved = page(10)
  expect(audited(sound, [['LedgerPage', { ...moved, status: { ...moved.status, throughMs: 20 } }]])).toBe(
    'page p is kept as another than it is',
  )
})
