import { expect, test } from 'vitest'
import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { pagesSince, timeOf } from './ledger.ts'

const nowMs = Date.parse('2026-03-04T05:06:07Z')

test('--since takes a duration or a time, and says what it takes', () => {
  expect(timeOf('1h30m', nowMs)).toBe(nowMs - 5_400_000)
  expect(timeOf('2026-01-01T00:00Z', nowMs)).toBe(Date.parse('2026-01-01T00:00:00Z'))
  expect(timeOf('2026-01-01', nowMs)).toBe(Date.parse('2026-01-01T00:00:00Z'))
  const allowed = 'write e.g. 1h, 2d or 2026-01-01T00:00Z.'
  expect(() => timeOf('yesterday', nowMs)).toThrow(`--since: "yesterday" is neither a duration nor a time; ${allowed}`)
  expect(() => timeOf('7', nowMs)).toThrow('is neither a duration nor a time')
  expect(() => timeOf('2027-01-01T00:00Z', nowMs)).toThrow(`--since: "2027-01-01T00:00Z" is in the future; ${allowed}`)
})

test('a page that reaches beyond the time is in it whole', () => {
  const page = (name: string, throughMs: number): LedgerPage => ({
    apiVersion: millwrightVersion,
    kind: 'LedgerPage',
    metadata: { name },
    spec: { node: 'a', pool: 'local', accelerator: 'cpu', fromMs: throughMs - 3_600_000 },
    status: {
      slots: 1,
      throughMs,
      revision: '1',
      capacitySlotMs: 0,
      pricePerSlotHour: 0,
      entries: [],
      provisional: [],
      usage: [],
    },
  })
  const pages = [page('before', nowMs - 10), page('over', nowMs + 10)]
  expect(pagesSince(pages, nowMs).map(({ metadata }) => metadata.name)).toEqual(['over'])
  expect(pagesSince(pages)).toHaveLength(2)
})
