import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readKeys } from './read-keys.ts'

let file = ''
beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), 'millwright-keys-')), 'keys')
})
afterEach(() => rmSync(join(file, '..'), { recursive: true }))

function keysIn(text: string, mode = 0o600): string[] {
  writeFileSync(file, text)
  chmodSync(file, mode)
  return readKeys('--api-key-file', file)
}

it('each line is a key', () => {
  expect(keysIn('first\n\n second\r\n')).toEqual(['first', 'second'])
})

it('one that others can read, or without a key, is refused', () => {
  for (const mode of [0o644, 0o640, 0o604])
    expect(() => keysIn('first\n', mode)).toThrow(
      `--api-key-file: ${file} can be read by other users of this machine (mode 0${mode.toString(8)}); \`chmod 600 ${file}\`.`,
    )
  expect(() => keysIn(' \n')).toThrow(`--api-key-file: ${file} holds no key; write one a line.`)
  expect(() => readKeys('--api-key-file', 'none')).toThrow('--api-key-file: cannot read none: there is no such file.')
})
