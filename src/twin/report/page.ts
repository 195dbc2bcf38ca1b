import { counted } from '../../scheduler/why/counted.ts'
import { type Bar, escaped, ganttChart, type Line, lineChart, stackChart } from './charts.ts'
import type { TwinReport } from './report.ts'
import type { SeedReport } from './seed-report.ts'
import type { ServiceSums } from './services.ts'
import { causesOf, headline, ledgerOf, type Table, tablesOf } from './tables.ts'

/** A report as one page that needs nothing else: no script, no font, no picture of another file. */
export function pageOf(report: TwinReport): string {
  const { scenario, seeds } = report
  const hours = scenario.horizonSeconds / 3600
  const range =
    seeds.length > 1 ? ' Lines are means over seeds, what is behind them reaches from the least to the most.' : ''
  const over = (read: (seed: SeedReport) => readonly number[], name: string, colour: number) =>
    lineOver(seeds.map(read), name, colour)
  const inUse = over(({ timeline }) => timeline.inUse.map((value) => value / scenario.accelerators), 'under seats', 0)
  const asked = over(({ timeline }) => timeline.asked, 'accelerators waited for', 1)
  const nodesOut = over(({ timeline }) => timeline.nodesOut, 'nodes out', 3)
  const causes = causesOf(report).filter(({ lost, down }) => lost + down > 0)
  const [inShort, ...tables] = tablesOf(report).map(htmlTable)
  const parts = [
    inShort ?? '',
    chart(`Utilisation`, `Accelerators under seats, of all.${range}`, lineChart([inUse], 1, 'ratio', hours)),
    chart('Queue', 'Accelerators that waiting gangs ask for.', lineChart([asked], maxOf([asked]), 'count', hours)),
    chart(
      'Nodes out',
      'Nodes that are lost, or closed to work.',
      lineChart([nodesOut], maxOf([nodesOut]), 'count', hours),
    ),
    chart(
      'Where accelerator-time went',
      'Accelerator-time in each bucket of the ledger, mean over seeds.',
      ledgerChart(report),
    ),
    causes.length === 0
      ? ''
      : chart(
          'What failures cost',
          `${key(4)} work thrown away since the last durable checkpoint, ${key(1)} down until the next step; accelerator-time, mean over seeds.`,
          stackChart(
            causes.map(({ cause, lost, down }) => ({
              name: cause,
              parts: [
                { name: 'lost', value: lost, colour: 4 },
                { name: 'down', value: down, colour: 1 },
              ],
            })),
            'hours',
          ),
        ),
    ...serviceCharts(report, hours),
    gantt(report, hours),
    ...tables,
  ]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(scenario.name)}</title>
<style>${style}</style>
<main>
<h1>${escaped(scenario.name)}</h1>
<p>${escaped(headline(report))} Played on virtual time by <code>millwright twin run</code>.</p>
${parts.filter((part) => part !== '').join('\n')}
</main>
</html>`
}

/** A line a service. */
function serviceCharts({ seeds }: TwinReport, hours: number): string[] {
  const names = (seeds[0]?.services ?? []).map(({ service }) => service)
  if (names.length === 0) return []
  const linesOf = (read: (sums: ServiceSums) => readonly number[]) =>
    names.map((name, index) => {
      const values = seeds.map(({ services = [] }) => services.filter(({ service }) => service === name).flatMap(read))
      return lineOver(values, name, index % coloursMax)
    })
  const [rate, ttft] = [
    linesOf(({ timeline }) => timeline.requestsPerSecond),
    linesOf(({ timeline }) => timeline.ttftP90Ms),
  ]
  const legend = names.map((name, index) => `${key(index % coloursMax)} ${escaped(name)}`).join(' ')
  return [
    chart('Requests', `Requests per second. ${legend}`, lineChart(rate, maxOf(rate), 'count', hours)),
    chart(
      'Time to the first token',
      `90th percentile, by when requests were sent. ${legend}`,
      lineChart(ttft, maxOf(ttft), 'milliseconds', hours),
    ),
  ]
}

function chart(title: string, about: string, drawn: string): string {
  return `<section><h2>${escaped(title)}</h2><p>${about}</p>${drawn}</section>`
}

function key(colour: number): string {
  return `<i style="background:var(--c${colour})"></i>`
}

function ledgerChart(report: TwinReport): string {
  const stacks = ledgerOf(report).map(({ bucket, hours }) => ({
    name: bucket,
    parts: [{ name: bucket, value: hours.mean, colour: bucket === 'lost' ? 4 : bucket === 'productive' ? 2 : 7 }],
  }))
  return stackChart(stacks, 'hours')
}

function lineOver(seeds: readonly (readonly number[])[], name: string, colour: number): Line {
  const points = (seeds[0] ?? []).map((_, index) => seeds.map((values) => values[index] ?? 0))
  return {
    name,
    colour,
    mean: points.map((values) => values.reduce((sum, value) => sum + value, 0) / values.length),
    low: points.map((values) => Math.min(...values)),
    high: points.map((values) => Math.max(...values)),
  }
}

function maxOf(lines: readonly Line[]): number {
  return Math.max(1, ...lines.flatMap(({ high }) => high))
}

/** More rows than this no page shows. */
const rowsMax = 64
const coloursMax = 7

function gantt({ sittings, seeds }: TwinReport, hours: number): string {
  const nodes = [...new Set(sittings.map(({ node }) => node))].toSorted(byNumber)
  const rows = nodes.slice(0, rowsMax)
  const gangs = [...new Set(sittings.map(({ gang }) => gang))]
  const colourOf = new Map(gangs.map((gang, index) => [gang, index % coloursMax]))
  const bars: Bar[] = rows.flatMap((row) => {
    const own = sittings.filter(({ node }) => node === row)
    const lanes = lanesOf(own)
    const capacity = Math.max(...own.map(({ accelerators }, index) => (lanes[index] ?? 0) + accelerators))
    return own.map(({ gang, attempt, accelerators, fromSeconds, toSeconds }, index) => ({
      row,
      from: fromSeconds / 3600,
      to: toSeconds / 3600,
      offset: (lanes[index] ?? 0) / capacity,
      share: accelerators / capacity,
      colour: colourOf.get(gang) ?? 0,
      title: `${gang}, attempt ${attempt}, ${counted(accelerators, 'accelerator')} of ${row}`,
    }))
  })
  if (bars.length === 0) return ''
  const more = nodes.length > rowsMax ? ` The first ${rowsMax} of ${nodes.length} nodes.` : ''
  const legend =
    gangs.length > coloursMax ? '' : ` ${gangs.map((gang, index) => `${key(index)} ${escaped(gang)}`).join(' ')}`
  const about = `Seed ${seeds[0]?.seed}: a bar is an attempt of a gang on a node, as high as its part of it.${more}${legend}`
  return chart('Gangs on nodes', about, ganttChart(rows, bars, hours))
}

/** Where in its row each lies so that none covers another that sits at the same time: as low as there is room. */
function lanesOf(sittings: readonly { accelerators: number; fromSeconds: number; toSeconds: number }[]): number[] {
  const lanes: number[] = []
  for (const [index, { accelerators, fromSeconds, toSeconds }] of sittings.entries()) {
    const beside = sittings
      .slice(0, index)
      .map((other, at) => ({ ...other, lane: lanes[at] ?? 0 }))
      .filter((other) => other.fromSeconds < toSeconds && fromSeconds < other.toSeconds)
      .toSorted((a, b) => a.lane - b.lane)
    let lane = 0
    for (const other of beside)
      if (other.lane < lane + accelerators && lane < other.lane + other.accelerators)
        lane = other.lane + other.accelerators
    lanes.push(lane)
  }
  return lanes
}

/** `n-2` before `n-10`. */
function byNumber(a: string, b: string): number {
  const [first, other] = [a, b].map((name) => /^(.*?)([0-9]*)$/.exec(name))
  if (first?.[1] !== other?.[1]) return a < b ? -1 : 1
  return Number(first?.[2]) - Number(other?.[2])
}

function htmlTable({ title, header, rows }: Table): string {
  const cells = (tag: 'th' | 'td', row: readonly string[]) =>
    row.map((text) => `<${tag}>${escaped(text)}</${tag}>`).join('')
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('')
  return `<section><h2>${escaped(title)}</h2><div class="wide"><table><thead><tr>${cells('th', header)}</tr></thead><tbody>${body}</tbody></table></div></section>`
}

/** Colours by Okabe and Ito, told apart by who sees red and green alike; lighter ones on a dark page. */
const style = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1f23; --faint: #5c6670; --rule: #d9dee3;
  --c0: #0072b2; --c1: #b87a00; --c2: #00835f; --c3: #a8548a; --c4: #c44a00; --c5: #2f8fc4; --c6: #8a7f00; --c7: #7c8894; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8eaed; --faint: #9aa4ae; --rule: #353b42;
  --c0: #58aee0; --c1: #e69f00; --c2: #2fbf93; --c3: #d58cb8; --c4: #f0743c; --c5: #8fd0f5; --c6: #d8cf4a; --c7: #8c98a4; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1020px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.6em; margin: 0; } h2 { font-size: 1.1em; margin: 2em 0 0; } p { margin: .3em 0 .8em; color: var(--faint); }
svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--faint); }
.grid { stroke: var(--rule); stroke-width: 1; } i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin-top: .5em; } td:not(:first-child) { font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 18px 4px 0; border-bottom: 1px solid var(--rule); vertical-align: top; } th { color: var(--faint); font-size: .8em; }
`
