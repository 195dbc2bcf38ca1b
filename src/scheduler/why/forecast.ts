import type { Why } from '../contract.ts'
import { placeLeavingSpares } from '../fit/fit.ts'
import { atLeast } from '../fit/least.ts'
import type { Placed } from '../fit/search.ts'
import { waitsForNodes } from '../fit/shortage.ts'
import { type GangState, podsOf } from '../gangs.ts'
import { modelsOf, queueBlock, quotaLeft } from '../line/admission.ts'
import { type Ending, Ends } from '../line/ends.ts'
import { type Blocked, goesBefore } from '../line/line.ts'
import { Order } from '../line/order.ts'
import { type ExpectedEnd, endIfStarted, nothingReserved } from '../line/reservations.ts'
import { type Holder, type Holders, titleOf } from './reasons.ts'
import type { Scene } from './what-if.ts'

interface Known extends Ending {
  gang: string
  basis: ExpectedEnd['basis']
}

/**
 * Between which times a gang that waits starts. At the earliest when all that runs ends as early as it may and nobody
 * before it in line takes what becomes free; at the latest when all ends as late as it may and everybody before it in line
 * goes first, each for as long as it declared. Nobody is foreseen who comes later and goes before it, nor a failure. Where
 * an end is not known that it needs, there is no such time, and the basis says whose.
 */
export function forecast(
  scene: Scene,
  state: GangState,
  blocked: Blocked & { kind: 'shortage' },
  holders: Holders,
  nowMs: number,
): Why['expectedStart'] {
  const { kind, isForGood } = blocked.shortage
  if (kind === 'never' || kind === 'nodes' || isForGood === true) return undefined
  const unknown = unknownEnds(scene, holders, kind, nowMs)
  const earliest = earliestStart(scene, state, kind, nowMs)
  const { later } = blocked
  if (later !== undefined && later.atMs < (earliest?.atMs ?? Number.POSITIVE_INFINITY)) {
    const victims = later.victims?.map(({ gang }) => gang) ?? []
    const time = new Date(Math.max(later.atMs, nowMs)).toISOString()
    return { earliest: time, basis: `when it may displace ${named(scene, victims)}, after the minimum run time` }
  }
  if (earliest === undefined) return { basis: unknown ?? 'nothing that is known to end leaves it enough' }
  const latest = latestStart(scene, state, kind, nowMs)
  const time = (ms: number) => new Date(Math.max(ms, nowMs)).toISOString()
  const from = { earliest: time(earliest.atMs) }
  if ('missing' in latest) {
    const why = latest.missing ?? unknown ?? 'what is known to end is not enough with those before it in line'
    return { ...from, basis: `${earliest.basis}; no latest: ${why}` }
  }
  const ahead =
    latest.ahead.length === 0 ? '' : `; at the latest after ${named(scene, latest.ahead)}, before it in line`
  return { ...from, latest: time(Math.max(earliest.atMs, latest.atMs)), basis: `${earliest.basis}${ahead}` }
}

/** Of what is not of its models it is only of use who ends when it lacks something else. */
const lacksNoAccelerator: ReadonlySet<string> = new Set(['cpu', 'memory', 'ports', 'pods'])

function* knownEnds(scene: Scene, own: GangState, kind: string, when: 'earliestMs' | 'latestMs'): Iterable<Known> {
  const { ends, gangs } = scene
  const models = lacksNoAccelerator.has(kind) ? undefined : [...modelsOf(own.object, scene.fleet)]
  for (const [gang, { basis, [when]: atMs }] of ends) {
    const state = gangs.get(gang)
    if (state === undefined || state === own) continue
    if (models?.some((model) => state.holds.has(model)) === false) continue
    yield { gang, basis, atMs, pods: () => podsOf(state, scene.livePodsOf(gang)) }
  }
}

function earliestStart(scene: Scene, state: GangState, kind: string, nowMs: number) {
  return scene.fleet.attempt(() => {
    const ends = new Ends(scene.fleet, knownEnds(scene, state, kind, 'earliestMs'))
    // What waits for those before it in line fits already.
    const placed = ends.until(() => placeFor(scene, state), kind === 'behind' ? 0 : 1)
    if (placed === undefined) return undefined
    const basis =
      ends.past.length === 0 ? 'there is room, if those before it in line leave it' : byEnds(scene, ends.past, placed)
    return { atMs: ends.atMs ?? nowMs, basis }
  })
}

/** More placements than these are not tried: an answer is wanted at once. */
const placementsMax = 40

type Latest = { atMs: number; ahead: readonly string[] } | { missing: string | undefined }

function latestStart(scene: Scene, own: GangState, kind: string, nowMs: number): Latest {
  const { fleet, gangs, quota, line } = scene
  const models = new Set(modelsOf(own.object, fleet))
  if (isLong(scene, own, models)) return { missing: tooLong }
  return fleet.attempt((): Latest => {
    const endings = [...knownEnds(scene, own, kind, 'latestMs')].filter(({ atMs }) => atMs > nowMs)
    const course = new Course(scene, endings, nowMs)
    const ahead: string[] = []
    const endless: string[] = []
    try {
      const order = new Order(quota, line.lanesBeside(own.key))
      order.enter([{ key: own.key, gang: own.object }], 0)
      for (let next = order.next(); next !== undefined && next.head.key !== own.key; next = order.next()) {
        const state = gangs.get(next.head.key)
        if (state === undefined || !competes(scene, state, models)) continue
        if (!course.seats(state)) {
          if (!course.isTooLong && isPassed(line.laneOf(state.key)?.blocked?.verdict)) continue
          // It starts when an end comes that nobody knows of, and until then those behind it may be kept waiting.
          return { missing: course.isTooLong ? tooLong : undefined }
        }
        ahead.push(state.key)
        if (state.object.spec.expectedSeconds === undefined) endless.push(state.key)
        order.enter(next.lane, next.index + 1)
      }
      if (course.seats(own)) return { atMs: course.atMs, ahead }
      if (course.isTooLong) return { missing: tooLong }
      return { missing: endless.length === 0 ? undefined : silent(scene, endless) }
    } finally {
      course.takeBack()
    }
  })
}

/** Each of those before it needs a placement. */
function isLong(scene: Scene, own: GangState, models: ReadonlySet<string>): boolean {
  const self = { key: own.key, gang: own.object }
  let ahead = 0
  for (const { waiting } of scene.line.lanes()) {
    for (const one of waiting) {
      if (!goesBefore(one, self)) break
      const state = scene.gangs.get(one.key)
      if (state !== undefined && competes(scene, state, models) && ahead++ === placementsMax) return true
    }
  }
  return false
}

const tooLong = 'too many are before it in line to foresee'

function silent(scene: Scene, keys: readonly string[]): string {
  const [do_, run] = keys.length === 1 ? ['does', 'it runs'] : ['do', 'they run']
  return `${named(scene, keys)}, before it in line, ${do_} not say how long ${run}`
}

/** What comes to pass when those in line are seated in turn, nobody before the one ahead of it, and end as they declared. */
class Course {
  readonly #scene: Scene
  readonly #ends: Ends<Known>
  readonly #nowMs: number
  readonly #seated: string[] = []
  #placements = 0

  constructor(scene: Scene, endings: readonly Known[], nowMs: number) {
    this.#scene = scene
    this.#ends = new Ends(scene.fleet, endings)
    this.#nowMs = nowMs
  }

  get atMs(): number {
    return Math.max(this.#nowMs, this.#ends.atMs ?? this.#nowMs)
  }

  get isTooLong(): boolean {
    return this.#placements > placementsMax
  }

  /** As soon as enough has ended; false when that never is, as far as it is known. */
  seats(state: GangState): boolean {
    const place = () => (this.#placements++ < placementsMax ? placeFor(this.#scene, state) : undefined)
    const placed = this.#ends.until(place)
    if (placed === undefined || this.isTooLong) return false
    const pods = placed.map(({ claim }, index) => {
      const pod = `${state.key} ${index}` // no pod's name has a space
      this.#seated.push(pod)
      this.#scene.fleet.setClaim(pod, 'seat', { ...claim, ports: [] })
      return pod
    })
    const end = endIfStarted(state.object, this.atMs)
    if (end !== undefined) this.#ends.add({ gang: state.key, basis: end.basis, atMs: end.latestMs, pods: () => pods })
    return true
  }

  takeBack(): void {
    this.#ends.rewind()
    for (const pod of this.#seated) this.#scene.fleet.setClaim(pod, 'seat', undefined)
  }
}

/** Whether it could take what the gang of these models waits for. What is kept for one that others leave for is taken. */
function competes({ fleet, queues }: Scene, { object, seats }: GangState, models: ReadonlySet<string>): boolean {
  if (seats !== undefined || queueBlock(queues, object) !== undefined) return false
  for (const model of modelsOf(object, fleet)) if (models.has(model)) return true
  return false
}

/** Who waits for no more than his queue's share, or for nodes that are not there, keeps nobody waiting. */
function isPassed(blocked: Blocked | undefined): boolean {
  return blocked?.kind === 'shortage' && !waitsForNodes(blocked.shortage)
}

/** With as many members as it can have, or else its fewest. Its own void seats don't stand in its way. */
function placeFor(scene: Scene, { key, object: gang, seatPods }: GangState): readonly Placed[] | undefined {
  const { fleet, quota } = scene
  const live = scene.livePodsOf(key)
  return fleet.attempt(() => {
    for (const pod of seatPods) if (!live.has(pod)) fleet.lift(pod)
    const request = { gang: key, quotaLeft: quotaLeft(quota, fleet, gang), reserved: nothingReserved }
    for (const object of gang.spec.groups.length === 1 ? [gang] : [gang, ...atLeast(gang, fleet)]) {
      const placed = placeLeavingSpares(fleet, { ...request, object })
      if (placed !== undefined) return placed
    }
    return undefined
  })
}

/** Of those that have ended, the last first, whoever leaves the places; where they leave quota, the last of all. */
function byEnds(scene: Scene, past: readonly Known[], placed: readonly Placed[]): string {
  const nodes = new Set(placed.map(({ node }) => node.name))
  const isThere = ({ pods }: Known) => [...pods()].some((pod) => nodes.has(scene.fleet.claimOf(pod)?.node ?? ''))
  const there = past.filter(isThere)
  const binding = there.length === 0 ? past.slice(-1) : there.toReversed()
  const said = (basis: Known['basis'], one: string, several: string) => {
    const keys = binding.filter((end) => end.basis === basis).map(({ gang }) => gang)
    return keys.length === 0 ? [] : [`the ${keys.length === 1 ? one : several} of ${named(scene, keys)}`]
  }
  return `by ${[...said('declared', 'declared end', 'declared ends'), ...said('pace', 'pace', 'paces')].join(' and ')}`
}

/** Of those who hold what it lacks, whose end nobody knows: never said, or past. */
function unknownEnds(scene: Scene, { named: holders }: Holders, kind: string, nowMs: number): string | undefined {
  const [silent, late]: [Holder[], Holder[]] = [[], []]
  for (const holder of holders) {
    const end = scene.ends.get(holder.gang)
    if (end === undefined) silent.push(holder)
    else if (end.latestMs <= nowMs) late.push(holder)
  }
  const keys = (some: readonly Holder[]) => some.map(({ gang }) => gang)
  const holds = (some: readonly Holder[]) => {
    if (lacksNoAccelerator.has(kind)) return ''
    const verb = titlesOf(scene, keys(some)).length === 1 ? 'holds' : 'hold'
    return `, which ${verb} ${some.reduce((sum, { held }) => sum + held, 0)}`
  }
  const said = [
    ...(silent.length === 0 ? [] : [`no end is known for ${named(scene, keys(silent))}${holds(silent)}`]),
    ...(late.length === 0 ? [] : [`${named(scene, keys(late))} should have ended by now`]),
  ]
  return said.length === 0 ? undefined : said.join(', and ')
}

const namedMax = 2

function named(scene: Scene, keys: readonly string[]): string {
  const titles = titlesOf(scene, keys)
  if (titles.length <= namedMax) return titles.join(' and ')
  return `${titles.slice(0, namedMax).join(', ')} and ${titles.length - namedMax} more`
}

/** Replicas have the title of their service. */
function titlesOf({ gangs }: Scene, keys: readonly string[]): string[] {
  return [...new Set(keys.map((key) => titleOf(key, gangs.get(key)?.object)))]
}
