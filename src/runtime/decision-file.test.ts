import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { silentLog } from '../base/log.ts'
import { openDecisionFile } from './decision-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'millwright-decisions-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('half a line that a killed process left is a line of its own', () => {
  const path = join(dir, 'torn.jsonl')
  appendFileSync(path, '{"epoch":1}\n{"inp')
  const file = openDecisionFile(path, silentLog)
  file.write('{"epoch":2}')
  file.close()
  expect(readFileSync(path, 'utf8')).toBe('{"epoch":1}\n{"inp\n{"epoch":2}\n')
})

test('where nothing can be written nothing fails, and the record begins anew once it can', () => {
  const folder = join(dir, 'later')
  const file = openDecisionFile(join(folder, 'd.jsonl'), silentLog)
  file.write('{"epoch":1}')
  mkdirSync(folder)
  expect(file.beginsAnew()).toBe(true)
  file.write('{"base":[]}')
  expect(file.beginsAnew()).toBe(false)
  file.close()
  expect(readFileSync(join(folder, 'd.jsonl'), 'utf8')).toBe('{"base":[]}\n')
})

test('a file that is full is put aside', () => {
  const path = join(dir, 'full.jsonl')
  const file = openDecisionFile(path, silentLog)
  file.write('x'.repeat(64 * 1024 * 1024))
  expect(file.beginsAnew()).toBe(true)
  file.write('{"base":[]}')
  file.close()
  expect(existsSync(`${path}.1`)).toBe(true)
  expect(readFileSync(path, 'utf8')).toBe('{"base":[]}\n')
})
