import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const src = resolve(import.meta.dirname, '../src')

/** Room → rooms that it may import (docs/ARCHITECTURE.md). */
const all = [
  'base',
  'model',
  'wire',
  'store',
  'blob',
  'observe',
  'scheduler',
  'autoscaler',
  'engine',
  'agent',
  'control',
  'gateway',
  'compile',
  'api',
]
const may: Record<string, string[]> = {
  base: [],
  model: ['base'],
  wire: ['base'],
  store: ['base', 'model'],
  blob: ['base', 'model'],
  observe: ['base', 'model', 'store'],
  scheduler: ['base', 'model'],
  autoscaler: ['base', 'model'],
  engine: ['base', 'model', 'wire'],
  agent: ['base', 'model', 'store', 'blob', 'observe'],
  control: ['base', 'model', 'store', 'blob', 'observe', 'scheduler', 'autoscaler'],
  gateway: ['base', 'model', 'wire', 'store', 'observe'],
  compile: ['base', 'model'],
  api: ['base', 'model', 'store', 'observe', 'compile'],
  runtime: all,
  twin: [...all, 'runtime'],
  cli: ['base', 'model', 'wire', 'scheduler', 'api', 'compile', 'runtime', 'twin'],
}

/** Places that may touch the machine. Everything else takes handles from `base`. */
const leaves = [
  'store/lmdb',
  'store/kubernetes',
  'blob/file',
  'blob/s3',
  'engine',
  'agent/local',
  'agent/pod',
  'gateway/exchange.ts',
  'gateway/guard.ts',
  'gateway/http-exchange.ts',
  'gateway/relay.ts',
  'gateway/server.ts',
  'gateway/upstream.ts',
  'gateway/usage-filter.ts',
  'api',
  'runtime',
  'twin/import',
  'cli',
]

const banned: [RegExp, string][] = [
  [/\bDate\.now\s*\(|\bnew Date\(\s*\)|\bperformance\.now\b/, 'the clock handle (base/clock)'],
  [/\b(setTimeout|setInterval|setImmediate)\s*\(/, 'clock.after, clock.every or clock.sleep (base/clock)'],
  [/\bMath\.random\b|\brandomUUID\b/, 'the random handle (base/random)'],
  [/\bMath\.pow\b|[^*/]\*\*[^*/]/, 'multiplication: powers differ between Node versions'],
  [/\.localeCompare\(|\bIntl\./, 'a comparison by code units: locales differ between machines'],
  [
    /from 'node:(fs|net|http|https|child_process|crypto|stream|os|tls|dns|worker_threads)/,
    'a seam whose leaf does the I/O',
  ],
]

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => ({ name: name.replaceAll('\\', '/'), text: readFileSync(join(src, name), 'utf8') }))
const shipped = files.filter(({ name }) => !/(contract-suite|crash-child|manual-clock|fixture)/.test(name))

describe('the rooms', () => {
  it('import only what the table allows', () => {
    const wrong: string[] = []
    for (const { name, text } of shipped) {
      const room = name.split('/')[0] ?? ''
      for (const target of importsOf(name, text)) {
        const other = target.split('/')[0] ?? ''
        if (!name.includes('/')) continue
        if (other !== room && !(may[room] ?? []).includes(other)) wrong.push(`${name} imports ${target}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('hold no import cycle', () => {
    const graph = new Map(shipped.map(({ name, text }) => [name, importsOf(name, text)]))
    expect(cycleIn(graph)).toEqual([])
  })

  it('leave clocks, timers, randomness and I/O to the leaves', () => {
    const wrong: string[] = []
    for (const { name, text } of shipped) {
      if (!name.includes('/') || leaves.some((leaf) => name === leaf || name.startsWith(`${leaf}/`))) continue
      text.split('\n').forEach((line, index) => {
        const code = line.replace(/\/\/.*$/, '').replace(/^\s*\/?\*.*$/, '')
        for (const [pattern, instead] of banned)
          if (pattern.test(code)) wrong.push(`${name}:${index + 1}: use ${instead}`)
      })
    }
    expect(wrong).toEqual([])
  })
})

function importsOf(name: string, text: string): string[] {
  const found: string[] = []
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
    found.push(relative(src, resolve(src, dirname(name), match[1] ?? '')).replaceAll('\\', '/'))
  }
  return found
}

function cycleIn(graph: Map<string, string[]>): string[] {
  const done = new Set<string>()
  const visit = (name: string, path: string[]): string[] => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (done.has(name)) return []
    for (const next of graph.get(name) ?? []) {
      const cycle = visit(next, [...path, name])
      if (cycle.length > 0) return cycle
    }
    done.add(name)
    return []
  }
  for (const name of graph.keys()) {
    const cycle = visit(name, [])
    if (cycle.length > 0) return cycle
  }
  return []
}
