import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { thresholdSaid } from '../model/health.ts'
import { healthRules } from '../model/node-conditions.ts'
import { signals } from './commands/signals.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/recovery.md'), 'utf8')

it('the page has each signal as the product has it', () => {
  const shown = page.slice(page.indexOf('| signal | from |')).split('\n\n')[0]?.split('\n').slice(2)
  const rows = healthRules.map((rule) => [rule.signal, thresholdSaid(rule), rule.follows, rule.source])
  expect(shown).toEqual(rows.map((row) => `| ${row.join(' | ')} |`))
})

it('`millwright signals` prints them, for people and for programs', async () => {
  const said = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  try {
    await signals({})
    expect(said.mock.lastCall?.[0]).toMatch(/^SIGNAL +FROM +WHAT FOLLOWS +SOURCE$/m)
    expect(said.mock.lastCall?.[0]).toMatch(/silent +40s +the node is lost, and its pods have failed +Kubernetes$/m)
    await signals({ output: 'json' })
    expect(JSON.parse(String(said.mock.lastCall?.[0]))).toEqual(healthRules)
  } finally {
    said.mockRestore()
  }
})
