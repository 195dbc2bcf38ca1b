import { formatErrors } from '../../compile/documents.ts'
import { readState, type State } from '../../compile/state.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import type { Seats, Victim } from '../../scheduler/contract.ts'
import type { Happening, Leaving } from '../../scheduler/rehearsal/rehearsal.ts'
import { type GangSchedule, type GangVerdict, type Schedule, scheduleOf } from '../../scheduler/rehearsal/schedule.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { oneOf, timeMs } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { dump, plain, shortList, table } from '../output.ts'
import { textsOf } from '../texts-of.ts'

interface ScheduleOptions {
  file: string[]
  output: string
  untilSettled?: boolean
  now?: string
}

/** Decides about a state that stands in files. Touches nothing and needs no factory. */
export async function schedule(options: ScheduleOptions, global: Global): Promise<void> {
  const format = oneOf('--output', options.output, ['table', 'wide', 'json', 'yaml', 'name'], 'table')
  const nowMs = options.now === undefined ? Date.now() : timeMs('--now', options.now)
  const read = readState(textsOf(options.file), { nowMs, namespace: global.namespace })
  if ('errors' in read) {
    const { length } = read.errors
    throw new Exit(
      exit.usage,
      `${length === 1 ? 'an error' : `${length} errors`} in the state\n${formatErrors(read.errors)}`,
    )
  }
  const { state } = read
  const { untilSettled = false } = options
  const found = scheduleOf(state, createScheduler(), { nowMs, untilSettled })
  if (format === 'name') {
    for (const { gang, verdict } of found.gangs) if (getsSeats(verdict)) console.log(`gang/${nameOf(gang)}`)
  } else if (format === 'table' || format === 'wide') console.log(plain(textOf(state, found, format === 'wide')))
  else console.log(await dump(wholeOf(state, found), format))
}

function wholeOf({ isQueueAssumed, passedOver }: State, found: Schedule): object {
  return { apiVersion: millwrightVersion, kind: 'Schedule', ...found, isQueueAssumed, passedOver }
}

// ---- for people ----

export function textOf(state: State, found: Schedule, isWide: boolean): string {
  const { course } = found
  const blocks = [
    headOf(state, found),
    gangsOf(found),
    seatsOf(found, isWide),
    victimsOf(found),
    course === undefined ? '' : courseOf(course, isWide),
    queuesOf(found, isWide),
  ]
  return blocks.filter((block) => block !== '').join('\n\n')
}

function headOf({ isQueueAssumed, passedOver }: State, { fleet, gangs }: Schedule): string {
  const lines: string[] = []
  if (fleet.nodes === 0)
    lines.push('There are no nodes in this state: nobody can be seated. What follows is quota alone.')
  else {
    const models = fleet.accelerators.map(({ model, total, free, freeAfter }) => {
      return `${total} × ${model} (${free} free${free === freeAfter ? '' : `, then ${freeAfter}`})`
    })
    lines.push(
      `${counted(fleet.nodes, 'node')}, ${models.join(', ') || 'no accelerators'}; ${counted(gangs.length, 'gang')}.`,
    )
  }
  if (isQueueAssumed) lines.push('No Queue is given: one called default, without a quota, is taken for granted.')
  if (passedOver.length > 0) {
    lines.push(
      `Passed over, since they say nothing about seats: ${passedOver.map(({ kind, count }) => `${count} ${kind}`).join(', ')}.`,
    )
  }
  return lines.join('\n')
}

function gangsOf({ gangs }: Schedule): string {
  if (gangs.length === 0) return ''
  const spaces = new Set(gangs.map(({ gang }) => spaceOf(gang)))
  const space = (gang: string) => (spaces.size > 1 ? [spaceOf(gang)] : [])
  const header = [
    ...(spaces.size > 1 ? ['NAMESPACE'] : []),
    'GANG',
    'QUEUE',
    'PRIORITY',
    'ASKS',
    'VERDICT',
    'WHERE OR WHY',
  ]
  const rows = gangs.map((one) => [
    ...space(one.gang),
    nameOf(one.gang),
    one.queue,
    String(one.priority),
    asksOf(one),
    one.verdict.kind === 'none' ? '-' : one.verdict.kind,
    `${aboutOf(one.verdict)}${one.left === undefined ? '' : ` (left ${forOf(one.left)})`}`,
  ])
  return table(header, rows)
}

function asksOf({ asks }: GangSchedule): string {
  return asks
    .map(({ min, max, accelerators }) => {
      const members = min === max ? String(min) : `${min}-${max}`
      return `${members}×${accelerators.map(({ model, count }) => `${model}:${count}`).join('|')}`
    })
    .join(' + ')
}

function aboutOf(verdict: GangVerdict): string {
  switch (verdict.kind) {
    case 'bind':
      return nodesOf(verdict.seats)
    case 'sits':
      return `${nodesOf(verdict.seats)}${verdict.leaves === undefined ? '' : `; its seats are asked back ${forOf(verdict.leaves)}`}`
    case 'preempt':
      return `${nodesOf(verdict.seats)}, when ${victimNames(verdict.victims)}`
    case 'holds':
      return `${nodesOf(verdict)} are kept until ${victimNames(verdict.victims)}`
    case 'resize':
      return verdict.message
    case 'wait':
      return `${verdict.reason}: ${verdict.message}`
    case 'release':
      return 'gives its seats back'
    case 'suspended':
      return 'wants no seats'
    case 'none':
      return ''
  }
}

function victimNames(victims: readonly Victim[]): string {
  const names = victims.map(({ gang }) => nameOf(gang))
  const move = victims.some(({ movesTo }) => movesTo !== undefined)
  return `${shortList(names, namesMax)} ${names.length === 1 ? 'has' : 'have'} ${move ? 'moved' : 'left'}`
}

function forOf(why: Leaving): string {
  if ('grows' in why) return `to grow to ${why.grows} members`
  if ('queue' in why) return `since queue ${why.queue} drains`
  return `${why.reason === 'Defragmentation' ? 'to move ' : ''}for ${nameOf(why.by)}`
}

const namesMax = 4

function nodesOf({ members }: Pick<Seats, 'members'>): string {
  return shortList([...new Set(members.map(({ node }) => node))], namesMax)
}

/** So many fit on two screens. */
const seatsMax = 64

function seatsOf({ gangs }: Schedule, isWide: boolean): string {
  const seated = gangs.flatMap(({ verdict }) => {
    if (verdict.kind === 'bind' || verdict.kind === 'preempt') return verdict.seats.members
    if (verdict.kind === 'resize') return verdict.added
    return verdict.kind === 'sits' && isWide ? verdict.seats.members : []
  })
  if (seated.length === 0) return ''
  const shown = isWide ? seated : seated.slice(0, seatsMax)
  const rows = shown.map((member) => [
    member.pod,
    String(member.rank),
    member.node,
    ...(isWide ? [String(member.localRank), member.ports.join(',')] : []),
    devicesOf(member.devices),
  ])
  const header = ['POD', 'RANK', 'NODE', ...(isWide ? ['LOCAL RANK', 'PORTS'] : []), 'DEVICES']
  const more = seated.length - shown.length
  return `${table(header, rows)}${more > 0 ? `\n… and ${more} more; -o wide shows all.` : ''}`
}

/** `H100-0..7`, `H100-0 (0.4)`. */
export function devicesOf(devices: Seats['members'][number]['devices']): string {
  const said: string[] = []
  for (let from = 0; from < devices.length; ) {
    let to = from
    while (devices[to + 1] !== undefined && follows(devices[to], devices[to + 1])) to++
    const [first, last] = [devices[from], devices[to]]
    if (first === undefined || last === undefined) break
    const share = first.milli === 1000 ? '' : ` (${first.milli / 1000})`
    said.push(to === from ? `${first.id}${share}` : `${first.id}..${numberOf(last.id)?.number}`)
    from = to + 1
  }
  return said.join(', ')
}

function follows(a: { id: string; milli: number } | undefined, b: { id: string; milli: number } | undefined): boolean {
  const [one, next] = [numberOf(a?.id ?? ''), numberOf(b?.id ?? '')]
  if (one === undefined || next === undefined || a?.milli !== 1000 || b?.milli !== 1000) return false
  return one.stem === next.stem && one.number + 1 === next.number
}

function numberOf(id: string): { stem: string; number: number } | undefined {
  const match = /^(.*-)([0-9]{1,4})$/.exec(id)
  return match === null ? undefined : { stem: match[1] ?? '', number: Number(match[2]) }
}

function victimsOf({ gangs }: Schedule): string {
  const rows = gangs.flatMap(({ gang, verdict }) => {
    if (verdict.kind !== 'preempt' && verdict.kind !== 'holds') return []
    return verdict.victims.map((victim) => [
      nameOf(victim.gang),
      nameOf(gang),
      victim.reason,
      `${Math.round(victim.lostSeconds)} accelerator-seconds`,
    ])
  })
  return rows.length === 0 ? '' : table(['VICTIM', 'FOR', 'REASON', 'LOSES'], rows)
}

function courseOf(course: readonly Happening[], isWide: boolean): string {
  const told = course.filter((one) => isWide || one.kind !== 'decided' || one.verdict.kind !== 'wait')
  if (told.length === 0) return ''
  return table(
    ['STEP', 'GANG', 'WHAT COMES TO PASS'],
    told.map((one, step) => [
      String(step + 1),
      nameOf(one.kind === 'decided' ? one.verdict.gang : one.gang),
      cameToPass(one),
    ]),
  )
}

function cameToPass(one: Happening): string {
  if (one.kind === 'ended') return 'has done its work'
  if (one.kind === 'left') return `leaves ${forOf(one.why)} and stands in line again as attempt ${one.attempt + 1}`
  const { verdict } = one
  switch (verdict.kind) {
    case 'bind':
      return `sits on ${nodesOf(verdict.seats)}`
    case 'preempt':
      return `will sit on ${nodesOf(verdict.seats)}; asks ${shortList(verdict.victims.map(({ gang }) => nameOf(gang)))} to ${verdict.gainSeconds === undefined ? 'leave' : 'move'}`
    case 'resize':
      return verdict.message
    case 'release':
      return 'gives its seats back'
    case 'wait':
      return `waits: ${verdict.reason}: ${verdict.message}`
  }
}

function queuesOf({ queues }: Schedule, isWide: boolean): string {
  const number = (value: number | undefined) => (value === undefined ? '-' : String(value))
  const share = (value: number | null) => (value === null ? 'infinite' : String(value))
  const rows = queues.flatMap(({ queue, parent = '-', weight, models, ...shares }) => {
    const wide = isWide ? [String(weight), share(shares.share), share(shares.shareAfter)] : []
    const known = models.length === 0 ? [undefined] : models
    return known.map((one) => [
      queue,
      parent,
      one?.model ?? '-',
      number(one?.nominal),
      number(one?.used),
      number(one?.usedAfter),
      number(one?.waiting),
      number(one?.mayHold),
      number(one?.fairShare),
      ...wide,
    ])
  })
  const wide = isWide ? ['WEIGHT', 'SHARE', 'SHARE THEN'] : []
  const problems = queues.flatMap(({ queue, problem }) => (problem === undefined ? [] : [`queue ${queue}: ${problem}`]))
  const header = ['QUEUE', 'PARENT', 'MODEL', 'NOMINAL', 'USED', 'THEN', 'WAITING', 'MAY HOLD', 'FAIR SHARE', ...wide]
  return [table(header, rows), ...problems].join('\n')
}

function getsSeats({ kind }: GangVerdict): boolean {
  return kind === 'bind' || kind === 'preempt'
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1)
}

function spaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
