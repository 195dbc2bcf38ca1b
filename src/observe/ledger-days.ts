import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import { dayMs, hourMs, Page } from './ledger-page.ts'

/** Hours are kept apart for so long. */
const apartMs = dayMs

/** What one page becomes with the pages of the hours that followed on it, and those that may go then; left out: at once. */
export interface Together {
  into?: LedgerPage
  gone: readonly LedgerPage[]
}

/**
 * Pages of hours that have been over for a day, put together into one a day: first the page is written that holds them all,
 * then they go. Whoever stops between the two leaves pages whose time another has as well (`withoutCovered`). An hour stays
 * apart whose price or number of slots was another one, or that holds time of which it is not known yet what it was, and so
 * does the last one of its node: a life that begins goes on from there, however long ago that was.
 */
export function togetherByDay(pages: readonly LedgerPage[], nowMs: number): Together[] {
  return [...inLine(pages).values()].flatMap((line) => {
    const { standing, covered } = sortOut(line)
    const runs: { first: LedgerPage; gone: LedgerPage[] }[] = []
    for (const page of standing) {
      const run = runs.at(-1)
      const last = run?.gone.at(-1) ?? run?.first
      const mayJoin = page !== standing.at(-1) && isOver(page, nowMs)
      if (run !== undefined && last !== undefined && mayJoin && isOver(last, nowMs) && follows(page, last))
        run.gone.push(page)
      else runs.push({ first: page, gone: [] })
    }
    const over: Together[] = runs
      .filter(({ gone }) => gone.length > 0)
      .map(({ first, gone }) => ({ into: put(first, gone), gone }))
    return covered.length === 0 ? over : [{ gone: covered }, ...over]
  })
}

/** Each time once: without pages whose time an older page of their node has as well. */
export function withoutCovered(pages: readonly LedgerPage[]): LedgerPage[] {
  const covered = new Set([...inLine(pages).values()].flatMap((line) => sortOut(line).covered))
  return covered.size === 0 ? [...pages] : pages.filter((page) => !covered.has(page))
}

/** By node and accelerator, oldest first. */
function inLine(pages: readonly LedgerPage[]): Map<string, LedgerPage[]> {
  const lines = new Map<string, LedgerPage[]>()
  for (const page of pages) {
    const key = `${page.spec.node} ${page.spec.accelerator}`
    const line = lines.get(key)
    if (line === undefined) lines.set(key, [page])
    else line.push(page)
  }
  for (const line of lines.values()) line.sort((a, b) => a.spec.fromMs - b.spec.fromMs)
  return lines
}

function sortOut(line: readonly LedgerPage[]): { standing: LedgerPage[]; covered: LedgerPage[] } {
  const [standing, covered]: [LedgerPage[], LedgerPage[]] = [[], []]
  let throughMs = Number.NEGATIVE_INFINITY
  for (const page of line) {
    const isCovered = page.spec.fromMs < throughMs && (page.status?.throughMs ?? throughMs) <= throughMs
    ;(isCovered ? covered : standing).push(page)
    if (!isCovered) throughMs = Math.max(throughMs, page.status?.throughMs ?? throughMs)
  }
  return { standing, covered }
}

/** Nothing can change it any more. */
function isOver({ spec, status }: LedgerPage, nowMs: number): boolean {
  return status !== undefined && status.provisional.length === 0 && spec.fromMs + hourMs + apartMs <= nowMs
}

function follows({ spec, status }: LedgerPage, last: LedgerPage): boolean {
  return (
    spec.fromMs === last.status?.throughMs &&
    Math.floor(spec.fromMs / dayMs) === Math.floor(last.spec.fromMs / dayMs) &&
    spec.pool === last.spec.pool &&
    status?.pricePerSlotHour === last.status.pricePerSlotHour &&
    status.slots === last.status.slots
  )
}

function put(first: LedgerPage, others: readonly LedgerPage[]): LedgerPage {
  const page = new Page(first.spec, first.status)
  for (const { status } of others) if (status !== undefined) page.absorb(status)
  return { ...first, status: page.status(others.at(-1)?.status?.revision ?? '') }
}
