import { assert } from '../base/errors.ts'
import { slotPriceIn } from '../model/catalogue.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import type { Pool } from '../model/kinds/pool.ts'
import type { Report } from '../model/kinds/report.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { label } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import { withoutLeft } from '../model/seats.ts'
import { Grouped } from './grouped.ts'
import { Heard } from './heard.ts'
import { LedgerBook, ownerKey, type Provisional } from './ledger-book.ts'
import { type Demand, demandOf, fragmentedRooms } from './ledger-demand.ts'
import { gangKeyOf, idOf, nodesOf, slotsMilliOn, stepKey, tagOf, usesAlike } from './ledger-gang.ts'
import { hourMs, hourOf, Page, provisionalKey } from './ledger-page.ts'
import { hasEnded, merged, ownerOf, type Scene, type Share, type Slot, sharesOf, slotsOf } from './ledger-use.ts'

/** What the fold is told, in the order that it was seen. */
export type LedgerChange =
  | { kind: 'Node'; object: Node; deleted: boolean }
  | { kind: 'Pod'; object: Pod; deleted: boolean }
  | { kind: 'Gang'; object: Gang; deleted: boolean }
  | { kind: 'Report'; object: Report; deleted: boolean }
  | { kind: 'Pool'; object: Pool; deleted: boolean }
  | { kind: 'TrainingJob'; object: TrainingJob; deleted: boolean }

/** A longer silence of our own means that we were not running, and saw nothing. */
const pausedMs = 30_000

/** One accelerator model of one node, accounted for up to `atMs`. */
interface Bank {
  node: string
  accelerator: string
  slots: Slot[]
  atMs: number
  shares: Share[] | undefined
  /** What is idle of it counts as fragmented. */
  isFragmented: boolean
}

/**
 * Folds what is seen into pages, every slot-millisecond into one bucket. Pure: time is told. Between two changes nothing
 * is computed; a bank is brought up to date when something about it changes, or when pages are asked for.
 */
export class LedgerFold {
  readonly #nodes = new Map<string, Node>()
  readonly #banks = new Map<string, Bank[]>()
  readonly #pools = new Map<string, Pool>()
  readonly #gangs = new Map<string, Gang>()
  readonly #pods = new Map<string, Pod>()
  readonly #reports = new Map<string, Report>()
  readonly #heard = new Heard()
  readonly #jobs = new Map<string, TrainingJob>()
  readonly #gangsByNode = new Grouped()
  readonly #podsByNode = new Grouped()
  readonly #podsByGang = new Grouped()
  readonly #demands = new Map<string, Demand>()
  /** Gangs whose present attempt was seen to step: `uid attempt`. */
  readonly #stepping = new Set<string>()
  /**
   * Of gangs whose members rejoin, by `uid attempt`: how long all stood still for that, and where each pod's own count begins.
   * Each tells it; whoever does first is believed.
   */
  readonly #regrouped = new Map<string, { seconds: number; from: Map<string, number> }>()
  readonly #book = new LedgerBook()
  /** Opened before all pools were known. */
  readonly #unpriced = new Map<Page, Bank>()
  /** Where each node's bank was last accounted for, from the pages of an earlier life. */
  readonly #throughMs = new Map<string, number>()
  /** Up to when an earlier life saw each node. */
  readonly #seenBeforeMs = new Map<string, number>()
  #isSynced = false
  /** When something changed of which it is not judged yet what it fragments: once for all that came together. */
  #unjudgedMs: number | undefined
  readonly #tokens = new Map<string, { requests: number; promptTokens: number; completionTokens: number }>()
  #awakeAtMs: number

  constructor(pages: readonly LedgerPage[], nowMs: number) {
    this.#awakeAtMs = nowMs
    const lines = new Map<string, LedgerPage>()
    for (const page of pages) {
      const { spec, status } = page
      if (status === undefined) continue
      const bank = ownerKey(spec)
      if (spec.fromMs >= (lines.get(bank)?.spec.fromMs ?? 0)) lines.set(bank, page)
      this.#throughMs.set(bank, Math.max(this.#throughMs.get(bank) ?? 0, status.throughMs))
      this.#seenBeforeMs.set(spec.node, Math.max(this.#seenBeforeMs.get(spec.node) ?? 0, status.throughMs))
    }
    const last = new Set(lines.values()) // where each bank goes on, however long ago that was
    for (const page of pages) {
      const { spec, status } = page
      if (status !== undefined && (status.provisional.length > 0 || last.has(page))) this.#book.load(spec, status)
    }
  }

  apply(change: LedgerChange, nowMs: number): void {
    this.#wake(nowMs)
    const { kind, object, deleted } = change
    if (kind === 'Node' && deleted) this.#dropNode(object, nowMs)
    else if (kind === 'Node') this.#setNode(object, nowMs)
    else if (kind === 'Pod') this.#setPod(object, deleted, nowMs)
    else if (kind === 'Gang') this.#setGang(withoutLeft(object), deleted, nowMs)
    else if (kind === 'Report') this.#setReport(object, deleted, nowMs)
    else if (kind === 'TrainingJob') this.#setJob(object, deleted, nowMs)
    else this.#setPool(object, deleted, nowMs)
    if (kind === 'Node' || kind === 'Pod' || kind === 'Gang' || kind === 'Pool') this.#unjudgedMs = nowMs
  }

  /**
   * Everything is known that there was at the start. What happened while nobody looked decides now over the time before:
   * it became durable, it was lost, or it still is open.
   */
  synced(nowMs: number): void {
    this.#wake(nowMs)
    this.#isSynced = true
    for (const [page, bank] of this.#unpriced) page.pricePerSlotHour = this.#priceOf(bank)
    this.#unpriced.clear()
    this.#reprice([...this.#banks.values()].flat(), nowMs)
    for (const id of this.#book.gangs()) {
      const [key = '', uid] = id.split(' ')
      const known = this.#gangs.get(key)
      if (known === undefined || known.metadata.uid !== uid) this.#book.settle(id, this.#endOf(key) ?? 'lost')
      else this.#settleGang(known, (node) => this.#seenBeforeMs.get(node) ?? nowMs)
    }
    for (const report of this.#reports.values()) {
      const gang = this.#gangOf(report)
      if (gang !== undefined) this.#noteStep(gang, report, nowMs)
    }
  }

  /** Brings all pages up to `nowMs`. */
  advance(nowMs: number): void {
    this.#wake(nowMs)
    for (const name of this.#banks.keys()) this.#touch(name, nowMs, false)
  }

  /** We are still there: what comes next was observed up to now. */
  look(nowMs: number): void {
    this.#wake(nowMs)
  }

  /** The pages that changed since they were last taken, as they are to be written. */
  take(revision: string): LedgerPage[] {
    return this.#book.take(revision)
  }

  /** A page could not be written: it is taken again. */
  untake(key: string): void {
    this.#book.untake(key)
  }

  /** Lets go of pages that nothing can change any more. */
  forget(nowMs: number): void {
    this.#book.forget(nowMs)
  }

  /** Whether that page can still change. */
  holds(key: string): boolean {
    return this.#book.holds(key)
  }

  /** Time in which we were stopped was not seen by anybody. */
  #wake(nowMs: number): void {
    if (this.#unjudgedMs !== undefined && this.#unjudgedMs < nowMs) this.#judge(this.#unjudgedMs)
    if (nowMs - this.#awakeAtMs > pausedMs) {
      for (const [name, banks] of this.#banks) {
        this.#touch(name, this.#awakeAtMs, false)
        for (const bank of banks) this.#unobserved(bank, nowMs)
      }
    }
    this.#awakeAtMs = Math.max(this.#awakeAtMs, nowMs)
  }

  #unobserved(bank: Bank, toMs: number): void {
    this.#spend(bank, toMs, [{ use: { bucket: 'unobserved', queue: '', owner: '' }, milli: bank.slots.length * 1000 }])
  }

  #setNode(node: Node, nowMs: number): void {
    const { name } = node.metadata
    this.#touch(name, nowMs, true)
    this.#nodes.set(name, node)
    const slots = slotsOf(node)
    const before = this.#banks.get(name) ?? []
    const models = new Set(slots.map((slot) => slot.model))
    const banks = [...models].map((accelerator) => {
      const own = slots.filter((slot) => slot.model === accelerator)
      const known = before.find((bank) => bank.accelerator === accelerator)
      if (known !== undefined) return Object.assign(known, { slots: own, shares: undefined })
      return this.#openBank(node, accelerator, own, nowMs)
    })
    this.#banks.set(name, banks)
    this.#reprice(banks, nowMs)
  }

  /**
   * A node that was accounted for before goes on from there: what lies between was not observed. One that comes after the first
   * look was not there meanwhile, unless it is older than that: who showed it to us was behind.
   */
  #openBank({ metadata }: Node, accelerator: string, slots: Slot[], nowMs: number): Bank {
    const node = metadata.name
    const key = ownerKey({ node, accelerator })
    const throughMs = this.#throughMs.get(key)
    this.#throughMs.delete(key)
    const wasThere = !this.#isSynced || Date.parse(metadata.creationTimestamp ?? '') <= (throughMs ?? 0)
    // What is accounted for is past, whatever the clock was set to since.
    const pastMs = Math.max(this.#awakeAtMs, this.#book.newest({ node, accelerator })?.throughMs ?? 0)
    const atMs = (wasThere ? throughMs : undefined) ?? pastMs
    const bank: Bank = { node, accelerator, slots, atMs, shares: undefined, isFragmented: false }
    this.#pageAt(bank, bank.atMs) // from here on a later life knows that the node was there
    this.#unobserved(bank, nowMs)
    return bank
  }

  #dropNode(node: Node, nowMs: number): void {
    this.#touch(node.metadata.name, nowMs, true)
    this.#nodes.delete(node.metadata.name)
    this.#banks.delete(node.metadata.name)
  }

  #setPool(pool: Pool, deleted: boolean, nowMs: number): void {
    const { name } = pool.metadata
    for (const node of changedBetween(this.#pools.get(name), deleted ? undefined : pool)) this.#touch(node, nowMs, true)
    if (deleted) this.#pools.delete(name)
    else this.#pools.set(name, pool)
    this.#reprice(
      [...this.#banks.values()].flat().filter((bank) => this.#poolOf(bank.node) === name),
      nowMs,
    )
  }

  /**
   * A price holds from when it is seen to change: what came before keeps its own, on a page of its own. Until everything
   * is known that there was at the start, a pool that is not seen yet is no change.
   */
  #reprice(banks: readonly Bank[], nowMs: number): void {
    if (!this.#isSynced) return
    for (const bank of banks) {
      const price = this.#priceOf(bank)
      const page = this.#book.newest(bank)
      if (page === undefined || page.pricePerSlotHour === price) continue
      this.#account(bank, nowMs)
      const present = this.#pageAt(bank, bank.atMs)
      if (present.isEmpty) Object.assign(present, { pricePerSlotHour: price, dirty: true })
      else this.#openPage(bank, bank.atMs)
    }
  }

  #setPod(pod: Pod, deleted: boolean, nowMs: number): void {
    const key = keyOf(pod)
    const { nodeName } = pod.spec
    if (nodeName !== undefined) this.#touch(nodeName, nowMs, true)
    const live = !deleted && !hasEnded(pod)
    if (deleted) this.#pods.delete(key)
    else this.#pods.set(key, pod)
    this.#podsByNode.move(key, live && nodeName !== undefined ? [nodeName] : [])
    this.#podsByGang.move(key, deleted ? [] : gangKeyOf(pod))
  }

  #setGang(gang: Gang, deleted: boolean, nowMs: number): void {
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    // A write of what is wanted, or of prices, changes nothing of who used what.
    const isUsedAlike = !deleted && before !== undefined && usesAlike(before, gang)
    const hasNewCheckpoint = before !== undefined && tagOf(before).checkpoint !== tagOf(gang).checkpoint
    if (!isUsedAlike) for (const node of new Set([...nodesOf(before), ...nodesOf(gang)])) this.#touch(node, nowMs, true)
    else if (hasNewCheckpoint) for (const node of nodesOf(gang)) this.#touch(node, nowMs, false)
    const demand = deleted ? undefined : demandOf(gang)
    if (demand === undefined) this.#demands.delete(key)
    else this.#demands.set(key, demand)
    if (!isUsedAlike) this.#gangsByNode.move(key, deleted ? [] : nodesOf(gang))
    if (deleted) {
      this.#gangs.delete(key)
      this.#stepping.delete(stepKey(gang))
      this.#regrouped.delete(stepKey(gang))
      if (this.#isSynced) this.#book.settle(idOf(gang), this.#endOf(key) ?? 'lost')
      return
    }
    this.#gangs.set(key, gang)
    if (before !== undefined && stepKey(before) !== stepKey(gang)) {
      this.#stepping.delete(stepKey(before))
      this.#regrouped.delete(stepKey(before))
    }
    if (this.#isSynced && (!isUsedAlike || hasNewCheckpoint)) this.#settleGang(gang, () => nowMs)
  }

  /** From now on, what is free in vain is fragmented, and nothing else is. */
  #judge(nowMs: number): void {
    this.#unjudgedMs = undefined
    const banks = [...this.#banks.values()].flat()
    if (this.#demands.size === 0 && !banks.some((bank) => bank.isFragmented)) return
    const rooms = banks.flatMap((bank) => {
      const node = this.#nodes.get(bank.node)
      return node === undefined ? [] : [{ bank, node, model: bank.accelerator, freeMilli: this.#freeMilli(bank) }]
    })
    const fragmented = new Set([...fragmentedRooms(this.#demands.values(), rooms)].map((room) => room.bank))
    for (const bank of banks) {
      const isFragmented = fragmented.has(bank)
      if (isFragmented === bank.isFragmented) continue
      this.#account(bank, nowMs)
      bank.isFragmented = isFragmented
    }
  }

  #freeMilli(bank: Bank): number {
    bank.shares ??= this.#sharesOf(bank)
    return bank.shares.reduce((sum, { use, milli }) => sum + (use.bucket === 'idle' ? milli : 0), 0)
  }

  #setJob(job: TrainingJob, deleted: boolean, nowMs: number): void {
    const key = keyOf(job)
    if (deleted) this.#jobs.delete(key)
    else this.#jobs.set(key, job)
    const gang = this.#gangs.get(key)
    const verdict = this.#endOf(key)
    if (!this.#isSynced || gang === undefined || verdict === undefined) return
    for (const node of nodesOf(gang)) this.#touch(node, nowMs, true)
    this.#book.settle(idOf(gang), verdict)
  }

  #setReport(report: Report, deleted: boolean, nowMs: number): void {
    const key = keyOf(report)
    const before = this.#reports.get(key)
    if (report.spec.service !== undefined) this.#touchService(report, nowMs)
    if (deleted) {
      this.#reports.delete(key)
      this.#heard.forget(report)
      return
    }
    this.#reports.set(key, report)
    this.#heard.hear(report, nowMs, this.#isSynced)
    if (report.spec.service !== undefined) this.#countUsage(report, nowMs)
    const gang = this.#gangOf(report)
    if (gang?.spec.rejoins === true) this.#noteRegroup(gang, before, report, nowMs)
    if (!this.#isSynced || gang === undefined) return
    this.#noteStep(gang, report, nowMs)
    this.#noteStalls(gang, before, report, nowMs)
  }

  /** Whoever joins works from its first step on; and while others came or went nobody did. */
  #noteRegroup(gang: Gang, before: Report | undefined, { spec, status }: Report, nowMs: number): void {
    if (status?.firstStepAtMs === undefined || spec.pod === undefined) return
    const known = this.#regrouped.get(stepKey(gang)) ?? { seconds: 0, from: new Map<string, number>() }
    this.#regrouped.set(stepKey(gang), known)
    const told = status.regroupSeconds ?? 0
    const isFirst = !known.from.has(spec.pod.uid)
    // What it told before anybody looked was counted by an earlier life, or by nobody.
    if (isFirst) known.from.set(spec.pod.uid, known.seconds - (this.#isSynced ? 0 : told))
    if (isFirst && before?.status?.firstStepAtMs === undefined) this.#touch(spec.node ?? '', nowMs, true)
    const seconds = (known.from.get(spec.pod.uid) ?? 0) + told - known.seconds
    if (seconds <= 0) return
    known.seconds += seconds
    for (const node of nodesOf(gang)) this.#touch(node, nowMs, false)
    this.#eachNode(gang, (pages, keys, slotsMilli) => {
      let stood = Math.floor(slotsMilli * seconds)
      for (const page of pages) for (const each of keys(page)) stood -= page.settle(each, 'starting', stood)
    })
  }

  #gangOf(report: Report): Gang | undefined {
    const { gang: name, attempt } = report.spec
    const gang = this.#gangs.get(`${report.metadata.namespace ?? 'default'}/${name}`)
    return gang !== undefined && gang.spec.attempt === attempt ? gang : undefined
  }

  /** With the first step it is known that the time before it was starting, not work. */
  #noteStep(gang: Gang, report: Report, nowMs: number): void {
    const { status } = report
    if (status?.step === undefined && status?.firstStepAtMs === undefined) return
    const key = stepKey(gang)
    if (this.#stepping.has(key)) return
    for (const node of nodesOf(gang)) this.#touch(node, nowMs, true)
    this.#stepping.add(key)
    const sinceMs = status.firstStepAtMs === undefined ? 0 : nowMs - this.#heard.whenOf(report, status.firstStepAtMs)
    this.#eachNode(gang, (pages, keys, slotsMilli) => {
      let kept = Math.floor((slotsMilli * Math.max(0, sinceMs)) / 1000)
      for (const page of pages) for (const each of keys(page)) kept = page.startupEnded(each, kept)
    })
  }

  /** While rank 0 writes a checkpoint the whole gang stands still. */
  #noteStalls(gang: Gang, before: Report | undefined, { status }: Report, nowMs: number): void {
    const known = new Set((before?.status?.checkpoints ?? []).map(({ step, rank }) => `${step} ${rank}`))
    for (const { step, rank, stallSeconds } of status?.checkpoints ?? []) {
      const isWriter = rank === 0 || gang.spec.rejoins === true
      if (!isWriter || stallSeconds === undefined || known.has(`${step} ${rank}`)) continue
      for (const node of nodesOf(gang)) this.#touch(node, nowMs, false)
      this.#eachNode(gang, (pages, keys, slotsMilli) => {
        let stall = Math.floor(slotsMilli * stallSeconds)
        for (const page of pages) {
          for (const each of keys(page)) stall -= page.settle(each, 'checkpointing', stall)
        }
      })
    }
  }

  /** What a gang's present state makes of its provisional time. */
  #settleGang(gang: Gang, seenUntilMs: (node: string) => number): void {
    const id = idOf(gang)
    const { checkpoint } = gang.status ?? {}
    const present = tagOf(gang).checkpoint
    if (checkpoint !== undefined) {
      // Work after the checkpoint was written is not in it.
      const writtenMs = this.#writtenAtMs(gang, checkpoint) ?? Date.parse(checkpoint.at)
      const durable = (each: Provisional) => each.attempt === checkpoint.attempt && each.checkpoint !== present
      const after = (node: string) => Math.max(0, seenUntilMs(node) - writtenMs)
      this.#book.settleBut(id, (node) => (slotsMilliOn(gang, node) * after(node)) / 1000, durable, present)
    }
    this.#book.settle(id, 'lost', ({ attempt }) => attempt < gang.spec.attempt)
    const verdict = this.#endOf(keyOf(gang))
    if (verdict !== undefined) this.#book.settle(id, verdict)
  }

  /** What becomes of the work of a job that has ended; undefined while it goes on, or is not known. */
  #endOf(key: string): 'productive' | 'lost' | undefined {
    const phase = this.#jobs.get(key)?.status?.phase
    return phase === 'Succeeded' ? 'productive' : phase === 'Failed' ? 'lost' : undefined
  }

  /** Pods of other attempts may be kept that had written the same step, and whose checkpoint never was whole. */
  #writtenAtMs(gang: Gang, { step, attempt }: { step: number; attempt: number }): number | undefined {
    for (const key of this.#podsByGang.of(keyOf(gang))) {
      const pod = this.#pods.get(key)
      const report = pod === undefined ? undefined : this.#reportOf(pod)
      if (report?.spec.attempt !== attempt) continue
      const found = report.status?.checkpoints.find((checkpoint) => checkpoint.step === step)
      if (found !== undefined) return this.#heard.whenOf(report, found.writtenAtMs)
    }
    return undefined
  }

  #eachNode(gang: Gang, run: (pages: Page[], keys: (page: Page) => string[], slotsMilli: number) => void): void {
    const id = idOf(gang)
    const keys = (page: Page) =>
      [...page.provisional.values()]
        .filter((each) => each.gang === id && each.attempt === gang.spec.attempt)
        .map(provisionalKey)
    for (const [node, pages] of this.#book.pagesOf(id)) run(pages, keys, slotsMilliOn(gang, node))
  }

  #touchService({ metadata, spec }: Report, nowMs: number): void {
    for (const pod of this.#pods.values()) {
      const isOf =
        pod.metadata.namespace === metadata.namespace && pod.metadata.labels?.[label.service] === spec.service?.name
      if (isOf && pod.spec.nodeName !== undefined) this.#touch(pod.spec.nodeName, nowMs, true)
    }
  }

  /** Requests and tokens go on the page of a node that has a replica of the service. */
  #countUsage({ metadata, spec, status }: Report, nowMs: number): void {
    const { requests = 0, promptTokens = 0, completionTokens = 0 } = status ?? {}
    const name = spec.service?.name ?? ''
    const key = `${metadata.namespace}/${name} ${spec.service?.uid}`
    const last = this.#tokens.get(key)
    this.#tokens.set(key, { requests, promptTokens, completionTokens })
    if (last === undefined) return // counted by an earlier life, or nothing yet
    const since = (now: number, before: number) => (now >= before ? now - before : now) // a new gateway counts from 0
    const owner = `InferenceService/${metadata.namespace ?? 'default'}/${name}`
    const usage = {
      owner,
      requests: since(requests, last.requests),
      promptTokens: since(promptTokens, last.promptTokens),
      completionTokens: since(completionTokens, last.completionTokens),
    }
    if (usage.requests + usage.promptTokens + usage.completionTokens === 0) return
    const gang = [...this.#gangs.values()].find((one) => ownerOf(one) === owner && nodesOf(one).length > 0)
    const bank = this.#banks.get(nodesOf(gang)[0] ?? '')?.[0] ?? [...this.#banks.values()][0]?.[0]
    if (bank === undefined) return
    this.#account(bank, nowMs)
    this.#pageAt(bank, bank.atMs).addUsage({ ...usage, queue: gang?.spec.queue ?? '' })
  }

  /** Accounts for a node up to `nowMs`, as it was; `changes`: from now on it may be used in another way. */
  #touch(name: string, nowMs: number, changes: boolean): void {
    for (const bank of this.#banks.get(name) ?? []) {
      this.#account(bank, nowMs)
      if (changes) bank.shares = undefined
    }
  }

  #account(bank: Bank, nowMs: number): void {
    if (nowMs <= bank.atMs) return
    bank.shares ??= this.#sharesOf(bank)
    this.#spend(bank, nowMs, bank.shares)
  }

  #sharesOf(bank: Bank): Share[] {
    const node = this.#nodes.get(bank.node)
    if (node === undefined) return []
    const scene: Scene = {
      node,
      isSpare: sparesIn(this.#pools.get(this.#poolOf(bank.node))).includes(bank.node),
      gangs: this.#gangsByNode.of(bank.node).flatMap((key) => this.#gangs.get(key) ?? []),
      pods: this.#podsByNode.of(bank.node).flatMap((key) => this.#pods.get(key) ?? []),
      podOf: (gang, pod) => this.#pods.get(`${gang.metadata.namespace ?? 'default'}/${pod}`),
      inFlightOf: (pod) => this.#inFlightOf(pod),
      steps: (gang) => this.#stepping.has(stepKey(gang)),
      hasStepped: (pod) => this.#reportOf(pod)?.status?.firstStepAtMs !== undefined,
    }
    return merged(sharesOf(bank.slots, scene))
  }

  #reportOf(pod: Pod): Report | undefined {
    const report = this.#reports.get(`${pod.metadata.namespace ?? 'default'}/pod.${pod.metadata.name}`)
    return report?.spec.pod?.uid === pod.metadata.uid ? report : undefined
  }

  #inFlightOf(pod: Pod): number {
    const service = pod.metadata.labels?.[label.service]
    const report = this.#reports.get(`${pod.metadata.namespace ?? 'default'}/service.${service}`)
    return report?.status?.perReplica?.[pod.metadata.name] ?? 0
  }

  /** Puts the time up to `toMs` where `shares` say, hour by hour, to the millisecond. */
  #spend(bank: Bank, toMs: number, shares: readonly Share[]): void {
    while (bank.atMs < toMs) {
      const page = this.#pageAt(bank, bank.atMs)
      const untilMs = Math.min(toMs, hourOf(bank.atMs) + hourMs)
      const total = bank.slots.length * (untilMs - bank.atMs)
      let left = total
      shares.forEach((share, index) => {
        // Shares of a slot may not come out in whole milliseconds: the last one takes what is over.
        const part = Math.floor((share.milli * (untilMs - bank.atMs)) / 1000)
        const slotMs = index === shares.length - 1 ? left : part
        left -= slotMs
        this.#put(page, share, slotMs, bank.isFragmented)
      })
      if (shares.length === 0 && left > 0) page.add('unobserved', '', '', left)
      page.throughMs = untilMs
      page.dirty = true
      bank.atMs = untilMs
    }
  }

  #put(page: Page, { use }: Share, slotMs: number, isFragmented: boolean): void {
    const { queue, owner, stepping } = use
    const bucket = use.bucket === 'idle' && isFragmented ? 'fragmented' : use.bucket
    if (bucket !== 'provisional') {
      page.add(bucket, queue, owner, slotMs)
      return
    }
    const gang = this.#gangs.get(use.gang ?? '')
    assert(gang !== undefined, `time of ${owner} is of a gang that is gone`)
    const { id, key, checkpoint } = tagOf(gang)
    // Pods of a job that has failed may go on for as long as their grace.
    const ended = this.#endOf(key)
    if (ended !== undefined) {
      page.add(ended, queue, owner, slotMs)
      return
    }
    const of = { owner, queue, gang: id, attempt: gang.spec.attempt, checkpoint }
    this.#book.addProvisional(page, of, slotMs, stepping !== true)
  }

  #pageAt(bank: Bank, atMs: number): Page {
    const page = this.#book.pageOf(bank, atMs) ?? this.#openPage(bank, hourOf(atMs))
    page.slots = bank.slots.length
    return page
  }

  #openPage(bank: Bank, fromMs: number): Page {
    const { node, accelerator } = bank
    const page = new Page({ node, pool: this.#poolOf(node), accelerator, fromMs })
    page.slots = bank.slots.length
    page.pricePerSlotHour = this.#priceOf(bank)
    page.throughMs = Math.max(fromMs, bank.atMs)
    this.#book.add(page)
    if (!this.#isSynced) this.#unpriced.set(page, bank)
    return page
  }

  #poolOf(node: string): string {
    return this.#nodes.get(node)?.metadata.labels?.[label.pool] ?? ''
  }

  #priceOf({ node, accelerator }: Bank): number {
    return slotPriceIn(this.#pools.get(this.#poolOf(node))?.spec, accelerator)?.usdPerHour ?? 0
  }
}

function sparesIn(pool: Pool | undefined): readonly string[] {
  return pool?.status?.spares?.nodes ?? []
}

/** Nodes that became spares, or are none any more. */
function changedBetween(before: Pool | undefined, after: Pool | undefined): string[] {
  const [had, has] = [sparesIn(before), sparesIn(after)]
  return [...had.filter((node) => !has.includes(node)), ...has.filter((node) => !had.includes(node))]
}
