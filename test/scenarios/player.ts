import { assert } from '../../src/base/errors.ts'
import { admit } from '../../src/model/admission.ts'
import { durationMs } from '../../src/model/duration.ts'
import { formatFieldError } from '../../src/model/field-error.ts'
import { gangOfJob, gangOfReplica } from '../../src/model/gangs.ts'
import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Queue } from '../../src/model/kinds/queue.ts'
import { annotation, label } from '../../src/model/names.ts'
import { templateOf } from '../../src/model/pods.ts'
import { type KindMap, kinds, type Resource } from '../../src/model/registry.ts'
import type { Seats, Verdict, Why } from '../../src/scheduler/contract.ts'
import { type Happening, type Leaving, Rehearsal } from '../../src/scheduler/rehearsal/rehearsal.ts'
import { scheduleOf } from '../../src/scheduler/rehearsal/schedule.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'

/** One `> ` line: its words, and what is written as `key=value`. */
interface Command {
  verb: string
  words: string[]
  options: Map<string, string>
}

/**
 * Plays a story's commands against a rehearsal and says what comes of them. test/scenarios/README.md lists the commands.
 * What the commands of a block change is decided about together, after the last of them.
 */
export class Player {
  readonly #world = new Rehearsal(createScheduler(), { nowMs: Date.parse('2026-01-01T00:00:00Z') })
  #said: string[] = []
  #age = 0

  constructor() {
    this.#queue('default', { namespaces: ['*'] })
  }

  play(lines: readonly string[]): string[] {
    this.#said = []
    for (const line of lines) this.#run(commandOf(line))
    this.#tell(this.#world.play())
    return this.#said
  }

  #run({ verb, words, options }: Command): void {
    const [first = '', second = '', third] = words
    const command = this.#commands(options)[verb]
    if (command === undefined) throw new Error(`no command is called "${verb}"`)
    command(first, second, third)
    if (options.size > 0) throw new Error(`${verb} takes no ${[...options.keys()].join(', ')}`)
  }

  #commands(options: Map<string, string>): Record<string, (first: string, second: string, third?: string) => void> {
    const world = this.#world
    const key = (title: string) => `${take(options, 'namespace') ?? 'default'}/${title.replace(/^.*\//, '')}`
    return {
      nodes: (shape, model) => this.#nodes(shape, model, options),
      node: (name, count, model = 'cpu') => this.#node(name, Number(count), model, options),
      cordon: (node) => this.#cordon(node, true),
      uncordon: (node) => this.#cordon(node, false),
      lose: (node) => world.apply({ kind: 'Node', deleted: node }),
      queue: (name, quota) => this.#queue(name, queueSpec(quota, options)),
      pool: (name) => this.#pool(name, options),
      apply: (title, shape, model) => this.#apply(title, shape, model, options),
      edit: (title) => world.edit(key(title), edits(options)),
      suspend: (title) => world.edit(key(title), { suspend: true }),
      resume: (title) => world.edit(key(title), { suspend: false, attempt: world.gangOf(key(title)).spec.attempt + 1 }),
      delete: (title) => this.#delete(key(title)),
      fail: (title) => this.#fail(key(title), take(options, 'rank')),
      finish: (title) => world.finish(key(title)),
      checkpoint: (title) => this.#checkpoint(key(title), take(options, 'asked')),
      pace: (title, end) => this.#pace(key(title), end, options),
      slow: (title) => world.slow.add(key(title)),
      leave: (title) => world.slow.delete(key(title)),
      advance: (duration) => this.#tell(world.advance(durationMs(duration))),
      why: (title) => this.#why(key(title)),
      gangs: () => this.#gangs(),
      queues: () => this.#queues(),
    }
  }

  // ---- what is told to the factory ----

  #nodes(shape: string, model: string, options: Map<string, string>): void {
    const [count, devices] = shape.split('x').map(Number)
    const base = take(options, 'name') ?? options.get('rack') ?? options.get('block') ?? 'node'
    assert(count !== undefined && devices !== undefined, 'nodes COUNTxDEVICES MODEL')
    for (let index = 0, made = 0; made < count; index++) {
      const name = `${base}-${index}`
      if (this.#world.nodes.has(name)) continue
      this.#node(name, devices, model, new Map(options))
      made++
    }
    for (const name of nodeOptions) options.delete(name)
  }

  #node(name: string, count: number, model: string, options: Map<string, string>): void {
    const list = Array.from({ length: count }, (_, index) => ({ id: `${model}-${index}`, model, healthy: true }))
    const [rack, block, zone] = [take(options, 'rack'), take(options, 'block'), take(options, 'zone')]
    const [capacity, pool] = [take(options, 'capacity'), take(options, 'pool')]
    const mig = pairs(take(options, 'mig'))
    const slices = Object.fromEntries(
      Object.entries(mig).map(([profile, count]) => [`nvidia.com/mig-${profile}`, count]),
    )
    const card = Object.keys(mig).length === 0 ? {} : { [label.accelerator]: model }
    const [key, effect = 'NoSchedule'] = (take(options, 'taint') ?? '').split(':')
    this.#world.put({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels: {
          ...card,
          ...(rack === undefined ? {} : { [label.rack]: rack }),
          ...(block === undefined ? {} : { [label.block]: block }),
          ...(zone === undefined ? {} : { [label.zone]: zone }),
          ...(capacity === undefined ? {} : { [label.capacityType]: capacity }),
          ...(pool === undefined ? {} : { [label.pool]: pool }),
          ...pairs(take(options, 'labels')),
        },
        annotations: { [annotation.nodeDevices]: JSON.stringify(list) },
      },
      spec: { ...(key === undefined || key === '' ? {} : { taints: [{ key, effect }] }) },
      status: {
        allocatable: {
          cpu: take(options, 'cpu') ?? '64',
          memory: take(options, 'memory') ?? '512Gi',
          ...slices,
        },
      },
    })
  }

  #cordon(name: string, unschedulable: boolean): void {
    const node = this.#world.nodes.get(name)
    assert(node !== undefined, `node ${name} exists`)
    this.#world.put({ ...node, spec: { ...node.spec, unschedulable } })
  }

  #queue(name: string, spec: Partial<Queue['spec']>): void {
    const { apiVersion, kind } = headOf('Queue')
    this.#world.put(admitted<'Queue'>({ apiVersion, kind, metadata: { name }, spec: { namespaces: ['*'], ...spec } }))
  }

  #pool(name: string, options: Map<string, string>): void {
    const { apiVersion, kind } = headOf('Pool')
    const spares = take(options, 'spares') ?? '0'
    const spec = { accelerator: 'gpu', spares: spares === 'auto' ? spares : Number(spares) }
    this.#world.put(admitted<'Pool'>({ apiVersion, kind, metadata: { name }, spec }))
  }

  #apply(title: string, shape: string, model: string | undefined, options: Map<string, string>): void {
    const [kind = '', name = ''] = title.split('/')
    const gangs =
      kind === 'service' ? this.#replicas(name, shape, model, options) : [this.#job(name, shape, model, options)]
    for (const gang of gangs) {
      // Each a second younger than the one before it.
      const creationTimestamp = new Date(Date.parse('2025-12-01T00:00:00Z') + 1000 * this.#age++).toISOString()
      this.#world.put({ ...gang, metadata: { ...gang.metadata, creationTimestamp } })
    }
  }

  #job(name: string, shape: string, model: string | undefined, options: Map<string, string>): Gang {
    const parts = shape.split('+').map((part) => this.#part(part, model))
    const template = (accelerators: string) => templateFor(accelerators, new Map(options))
    const groups = parts.map(({ group, min, max, accelerators }) => ({
      name: group,
      minReplicas: min,
      replicas: max,
      template: template(accelerators),
    }))
    for (const one of templateOptions) options.delete(one)
    const [required, preferred] = [take(options, 'required'), take(options, 'preferred')]
    const topology = {
      ...(required === undefined ? {} : { required }),
      ...(preferred === undefined ? {} : { preferred }),
    }
    const namespace = take(options, 'namespace') ?? 'default'
    const capacityType = take(options, 'capacity')?.split(',')
    const hasTopology = required !== undefined || preferred !== undefined
    const capacity = capacityType === undefined ? {} : { capacityType }
    const spec = { ...edits(options), ...(hasTopology ? { topology } : {}), ...capacity, groups }
    const job = admitted<'TrainingJob'>({ ...headOf('TrainingJob'), metadata: { name, namespace }, spec })
    return gangOfJob(job)
  }

  #replicas(name: string, shape: string, model: string | undefined, options: Map<string, string>): Gang[] {
    const { min, accelerators } = this.#part(shape, model)
    const template = templateFor(accelerators, options)
    const namespace = take(options, 'namespace') ?? 'default'
    const capacityType = take(options, 'capacity')?.split(',')
    const capacity = capacityType === undefined ? {} : { capacityType }
    const [minAvailable, maxUnavailable] = [take(options, 'minavailable'), take(options, 'maxunavailable')]
    const budget = {
      ...(minAvailable === undefined ? {} : { minAvailable: amountOf(minAvailable) }),
      ...(maxUnavailable === undefined ? {} : { maxUnavailable: amountOf(maxUnavailable) }),
    }
    const hasBudget = minAvailable !== undefined || maxUnavailable !== undefined
    const spec = {
      ...edits(options),
      ...capacity,
      ...(hasBudget ? { disruptionBudget: budget } : {}),
      template,
      minReplicas: min,
      maxReplicas: min,
    }
    const service = admitted<'InferenceService'>({ ...headOf('InferenceService'), metadata: { name, namespace }, spec })
    return Array.from({ length: min }, (_, index) => gangOfReplica(service, `${name}-${index}`, templateOf(service)))
  }

  /** `4x8`, `2-4x8` or `learner:1x8`; of the fleet's first model where none is named. */
  #part(text: string, model: string | undefined): { group: string; min: number; max: number; accelerators: string } {
    const match = /^(?:([a-z]+):)?([0-9]+)(?:-([0-9]+))?x([0-9.]+)$/.exec(text)
    assert(match !== null, `a shape is written MEMBERSxACCELERATORS, not "${text}"`)
    const [, group = 'worker', min, max = min, count] = match
    const withCount = ([name, speed]: string[]) => `${name}:${count}${speed === undefined ? '' : `@${speed}`}`
    const models = (model ?? this.#firstModel()).split('|').map((one) => one.split('@'))
    return { group, min: Number(min), max: Number(max), accelerators: models.map(withCount).join(',') }
  }

  #firstModel(): string {
    for (const { metadata } of this.#world.nodes.values()) {
      const listed = /"model":"([^"]+)"/.exec(metadata.annotations?.[annotation.nodeDevices] ?? '')
      if (listed?.[1] !== undefined) return listed[1]
    }
    throw new Error('no node says which accelerators are meant; name a model')
  }

  #delete(key: string): void {
    this.#world.endAll(key)
    this.#world.apply({ kind: 'Gang', deleted: key })
  }

  #fail(key: string, rank: string | undefined): void {
    const seat = this.#world.gangOf(key).status?.seats?.members.find((member) => String(member.rank) === rank)
    if (seat === undefined) this.#world.endAll(key)
    else this.#world.end(`${key.slice(0, key.indexOf('/'))}/${seat.pod}`)
    this.#world.restart(key)
  }

  /** `onRequest`: it was asked for it, and needed so long. */
  #checkpoint(key: string, onRequest: string | undefined): void {
    const { spec } = this.#world.gangOf(key)
    const at = new Date(this.#world.nowMs).toISOString()
    this.#world.edit(
      key,
      {},
      {
        checkpoint: { step: 1, attempt: spec.attempt, at, digest: 'd', bytes: 0, manifests: [] },
        ...(onRequest === undefined ? {} : { checkpointRequestSeconds: durationMs(onRequest) / 1000 }),
      },
    )
  }

  #pace(key: string, end: string, options: Map<string, string>): void {
    const time = (duration: string) => new Date(this.#world.nowMs + durationMs(duration)).toISOString()
    const [earliest, latest] = [take(options, 'earliest') ?? end, take(options, 'latest') ?? end]
    const expectedEndRange = { earliest: time(earliest), latest: time(latest) }
    this.#world.edit(key, {}, { expectedEnd: time(end), expectedEndRange })
  }

  // ---- what it says ----

  #tell(course: readonly Happening[]): void {
    for (const one of course) this.#said.push(this.#sentence(one))
  }

  #sentence(one: Happening): string {
    if (one.kind === 'ended') return `${this.#title(one.gang)} is done`
    if (one.kind === 'left') return `${this.#title(one.gang)} leaves ${this.#forWhom(one.why)}`
    return `${this.#title(one.verdict.gang)}${one.verdict.attempt > 1 ? ` (attempt ${one.verdict.attempt})` : ''} ${this.#does(one.verdict)}`
  }

  #does(verdict: Verdict): string {
    switch (verdict.kind) {
      case 'wait':
        return `waits: ${verdict.reason}: ${verdict.message}`
      case 'release':
        return 'gives its seats back'
      case 'resize':
        return verdict.message
      case 'bind':
        return `sits: ${placesOf(verdict.seats)}`
      case 'preempt': {
        const { seats, victims, gainSeconds } = verdict
        const leave = victims.map(({ gang, reason, lostSeconds, movesTo }) => {
          const where = movesTo === undefined ? '' : ` to ${placesOf({ members: movesTo })}`
          return `${this.#title(gang)}${where} (${reason}, loses ${Math.round(lostSeconds)} accelerator-seconds)`
        })
        const gains = gainSeconds === undefined ? '' : `; gains ${Math.round(gainSeconds)} accelerator-seconds`
        return `will sit: ${placesOf(seats)}; for it ${gains === '' ? 'leave' : 'move'}: ${leave.join(', ')}${gains}`
      }
    }
  }

  #forWhom(why: Leaving): string {
    if ('grows' in why) return `to sit again with ${why.grows} members`
    if ('queue' in why) return `since queue ${why.queue} drains`
    return `${why.reason === 'Defragmentation' ? 'to move ' : ''}for ${this.#title(why.by)}`
  }

  /** What a person calls it; a replica by its own name. */
  #title(key: string): string {
    const isService = this.#world.gangs.get(key)?.metadata.labels?.[label.service] !== undefined
    return `${isService ? 'service' : 'job'}/${key.slice(key.indexOf('/') + 1)}`
  }

  #why(key: string): void {
    this.#tell(this.#world.play())
    const why = this.#world.scheduler.why(key, this.#world.nowMs)
    this.#said.push(`${this.#title(key)} is ${why.state}: ${why.reason}: ${why.message}`)
    if (why.state === 'seated') this.#whyHere(why)
    if (why.state !== 'waiting') return
    if (why.placeInLine !== undefined) this.#said.push(`  number ${why.placeInLine} in line`)
    if (why.expectedStart !== undefined) this.#said.push(`  ${this.#start(why.expectedStart)}`)
    for (const fix of why.fixes) this.#said.push(`  would start now: ${fix}`)
  }

  #whyHere({ here, displaceable, expectedEnd, growth }: Why): void {
    const say = (line: string) => void this.#said.push(`  ${line}`)
    if (here !== undefined) {
      say(`here: ${here.place}${here.elsewhere === undefined ? '' : `; would sit on ${here.elsewhere} now`}`)
      for (const passed of here.passedOver) say(`rather: ${passed}`)
      if (here.rejected.length > 0)
        say(`other nodes: ${here.rejected.map(({ reason, nodes }) => `${nodes} ${reason}`).join(', ')}`)
    }
    if (displaceable !== undefined) {
      const by =
        displaceable.by.length === 0
          ? 'nobody'
          : [...displaceable.by, ...(displaceable.spared === undefined ? [] : [displaceable.spared])].join('; ')
      say(`may be displaced by: ${by} (it would lose ${Math.round(displaceable.priceSeconds)} accelerator-seconds)`)
    }
    if (expectedEnd !== undefined) {
      const { earliest, latest, basis } = expectedEnd
      say(`ends in ${this.#minutes(earliest, latest)}: ${basis}`)
    }
    if (growth !== undefined) say(`grows: ${growth}`)
  }

  #minutes(earliest: string, latest: string): string {
    const minutes = (time: string) => Math.round((Date.parse(time) - this.#world.nowMs) / 60_000)
    return earliest === latest ? `${minutes(earliest)} min` : `${minutes(earliest)} to ${minutes(latest)} min`
  }

  #start({ earliest, latest, basis }: NonNullable<Why['expectedStart']>): string {
    if (earliest === undefined) return `start unknown: ${basis}`
    if (latest === undefined) return `starts at the earliest in ${this.#minutes(earliest, earliest)}: ${basis}`
    return `starts in ${this.#minutes(earliest, latest)}: ${basis}`
  }

  #gangs(): void {
    this.#tell(this.#world.play())
    for (const [key, { spec, status }] of this.#world.gangs) {
      const seats = status?.seats
      const stands = spec.suspend
        ? 'wants no seats'
        : seats?.attempt === spec.attempt
          ? `sits: ${placesOf(seats)}`
          : 'waits'
      this.#said.push(`${this.#title(key)} ${stands}`)
    }
  }

  #queues(): void {
    this.#tell(this.#world.play())
    const { nodes, queues, gangs, pods, nowMs } = this.#world
    const scene = {
      nodes: [...nodes.values()],
      queues: [...queues.values()],
      gangs: [...gangs.values()],
      pods: [...pods.values()],
    }
    for (const { queue, share, models } of scheduleOf(scene, createScheduler(), { nowMs }).queues) {
      for (const { model, nominal = 'no quota', used, waiting, mayHold = 'any number', fairShare } of models) {
        const dominant = share === 0 ? '' : `, share ${share}`
        this.#said.push(
          `queue/${queue} ${model}: holds ${used} of ${nominal}, waits for ${waiting}, may hold ${mayHold}, fair share ${fairShare}${dominant}`,
        )
      }
    }
  }
}

const nodeOptions = ['capacity', 'pool', 'mig', 'rack', 'block', 'zone', 'taint', 'labels', 'cpu', 'memory']
const templateOptions = ['cpu', 'memory', 'select', 'tolerate', 'pods', 'prefer', 'apart', 'beside', 'rather', 'even']

function commandOf(line: string): Command {
  const [verb = '', ...words] = line.trim().split(/\s+/)
  const isOption = (word: string) => /^[a-z]+=/.test(word)
  const options = new Map(
    words.filter(isOption).map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  )
  return { verb, words: words.filter((word) => !isOption(word)), options }
}

function take(options: Map<string, string>, name: string): string | undefined {
  const value = options.get(name)
  options.delete(name)
  return value
}

/** `a:1,b:2`. */
function pairs(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {}
  return Object.fromEntries(text.split(',').map((pair) => pair.split(':') as [string, string]))
}

function counts(text: string | undefined): Record<string, number> | undefined {
  if (text === undefined || text === '') return undefined
  return Object.fromEntries(Object.entries(pairs(text)).map(([model, count]) => [model, Number(count)]))
}

function queueSpec(quota: string, options: Map<string, string>): Partial<Queue['spec']> {
  const spec: Record<string, unknown> = {
    nominalQuota: counts(quota),
    parent: take(options, 'parent'),
    weight: numberOf(take(options, 'weight')),
    borrowingLimit: counts(take(options, 'borrow')),
    lendingLimit: counts(take(options, 'lend')),
    stopPolicy: take(options, 'stop'),
    namespaces: take(options, 'namespaces')?.split(','),
    fairSharing: booleanOf(take(options, 'fair')),
    defragmentation: defragmentationOf(take(options, 'moves')),
    preemption: preemptionOf(take(options, 'within'), take(options, 'reclaim'), take(options, 'minrun')),
  }
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined))
}

/** `moves=yes`, or the price. */
function defragmentationOf(text: string | undefined): object | undefined {
  if (text === undefined) return undefined
  return text === 'yes' ? {} : { maxPrice: Number(text) }
}

function preemptionOf(
  withinQueue: string | undefined,
  reclaimWithinCohort: string | undefined,
  minRun: string | undefined,
): object | undefined {
  if (withinQueue === undefined && reclaimWithinCohort === undefined && minRun === undefined) return undefined
  return {
    ...(withinQueue && { withinQueue }),
    ...(reclaimWithinCohort && { reclaimWithinCohort }),
    ...(minRun && { minRunSeconds: durationMs(minRun) / 1000 }),
  }
}

function edits(options: Map<string, string>): Partial<Gang['spec']> {
  const [queue, priority] = [take(options, 'queue'), numberOf(take(options, 'priority'))]
  const [preemptible, expected] = [booleanOf(take(options, 'preemptible')), take(options, 'expected')]
  const served = numberOf(take(options, 'served'))
  return {
    ...(queue === undefined ? {} : { queue }),
    ...(priority === undefined ? {} : { priority }),
    ...(preemptible === undefined ? {} : { preemptible }),
    ...(expected === undefined ? {} : { expectedSeconds: durationMs(expected) / 1000 }),
    ...(served === undefined ? {} : { served }),
  }
}

/** `2` or `50%`. */
function amountOf(text: string): number | string {
  return text.endsWith('%') ? text : Number(text)
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

function booleanOf(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : text === 'yes'
}

function templateFor(accelerators: string, options: Map<string, string>): object {
  const [cpu, memory] = [take(options, 'cpu'), take(options, 'memory')]
  const [nodeSelector, key] = [pairs(take(options, 'select')), take(options, 'tolerate')]
  const requests = { ...(cpu && { cpu }), ...(memory && { memory }) }
  return {
    metadata: { labels: pairs(take(options, 'pods')), annotations: { [annotation.accelerators]: accelerators } },
    spec: {
      ...affinityFor(options),
      containers: [{ name: 'main', resources: { requests } }],
      nodeSelector,
      tolerations: key === undefined ? [] : [{ key, operator: 'Exists' }],
    },
  }
}

/** `prefer=disk:nvme` of a node; `apart=app:web@zone` of who is there; `rather` is apart where there is a choice. */
function affinityFor(options: Map<string, string>): object {
  const term = (name: string) => {
    const [selector, by = 'node'] = take(options, name)?.split('@') ?? []
    const keys: Record<string, string> = { node: label.hostname, rack: label.rack, zone: label.zone }
    return selector === undefined
      ? undefined
      : { labelSelector: { matchLabels: pairs(selector) }, topologyKey: keys[by] ?? by }
  }
  const [apart, beside, rather, even] = [term('apart'), term('beside'), term('rather'), term('even')]
  const required = 'requiredDuringSchedulingIgnoredDuringExecution'
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'
  const podAntiAffinity = {
    ...(apart && { [required]: [apart] }),
    ...(rather && { [preferred]: [{ weight: 100, podAffinityTerm: rather }] }),
  }
  const wanted = Object.entries(pairs(take(options, 'prefer')))
  const matchExpressions = wanted.map(([key, value]) => ({ key, operator: 'In', values: [value] }))
  const affinity = {
    ...(wanted.length > 0 && { nodeAffinity: { [preferred]: [{ weight: 50, preference: { matchExpressions } }] } }),
    ...((apart ?? rather) && { podAntiAffinity }),
    ...(beside && { podAffinity: { [required]: [beside] } }),
  }
  return {
    ...(Object.keys(affinity).length > 0 && { affinity }),
    ...(even && { topologySpreadConstraints: [{ ...even, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' }] }),
  }
}

function headOf<K extends keyof KindMap>(kind: K): { apiVersion: string; kind: K } {
  return { apiVersion: `${kinds[kind].group}/${kinds[kind].version}`, kind }
}

/** As the factory would take it in, with its defaults. */
function admitted<K extends keyof KindMap>(object: { kind: K; [field: string]: unknown }): KindMap[K] {
  const found = admit(kinds[object.kind], object)
  if ('errors' in found) throw new Error(found.errors.map(formatFieldError).join('; '))
  assert(isOf(found.object, object.kind), 'admission keeps the kind')
  return found.object
}

function isOf<K extends keyof KindMap>(object: Resource, kind: K): object is KindMap[K] & Resource {
  return object.kind === kind
}

/** By rank: `a-0 H100-0..7, a-1 H100-0..7`; of many, how many and where. */
function placesOf({ members }: Pick<Seats, 'members'>): string {
  if (members.length <= 8) return members.map(({ node, devices }) => `${node} ${devicesOf(devices)}`).join(', ')
  return `${members.length} members on ${[...new Set(members.map(({ node }) => node))].join(', ')}`
}

function devicesOf(devices: Seats['members'][number]['devices']): string {
  const [first] = devices
  const last = devices.at(-1)
  if (first === undefined || last === undefined) return '(no device)'
  const number = (id: string) => Number(/[0-9]+$/.exec(id)?.[0])
  if (devices.length > 1 && number(last.id) - number(first.id) === devices.length - 1)
    return `${first.id}..${number(last.id)}`
  return devices.map(({ id, milli }) => (milli === 1000 ? id : `${id}*${milli / 1000}`)).join('+')
}
