import { createHash } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OperatingError } from '../base/errors.ts'
import { fetchFile, partsOf, type WantedFile } from './fetch-file.ts'

let dir = ''
let folder = ''
let asked = 0
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millwright-fetch-'))
  folder = join(dir, 'into')
  asked = 0
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const wanted = (path: string, text = 'weights'): WantedFile => ({
  path,
  size: text.length,
  sha256: createHash('sha256').update(text).digest('hex'),
})

async function* sending(...parts: (string | Error)[]): AsyncGenerator<Uint8Array> {
  asked += 1
  for (const part of parts) {
    if (part instanceof Error) throw part
    yield Buffer.from(part)
  }
}

const all = () => readdirSync(dir, { recursive: true }).sort()

describe('a file that is fetched', () => {
  it('is there whole, below folders that are made for it, and nothing beside it', async () => {
    const heard: number[] = []
    const file = wanted('deep/er/model.gguf')
    expect(await fetchFile(file, folder, sending('wei', 'ghts'), (bytes) => heard.push(bytes))).toBe('fetched')
    expect(readFileSync(join(folder, 'deep/er/model.gguf'), 'utf8')).toBe('weights')
    expect(heard).toEqual([3, 7])
    expect(all()).toEqual(['into', 'into/deep', 'into/deep/er', 'into/deep/er/model.gguf'])
    expect(await fetchFile(wanted('empty', ''), folder, sending())).toBe('fetched')
    expect(readFileSync(join(folder, 'empty'), 'utf8')).toBe('')
  })

  it('is not fetched again while it is what it should be, and is when it is not', async () => {
    const file = wanted('model.gguf')
    await fetchFile(file, folder, sending('weights'))
    expect(await fetchFile(file, folder, sending('weights'))).toBe('there')
    expect(asked).toBe(1)
    for (const text of ['WEIGHTS', 'weight', '']) {
      writeFileSync(join(folder, 'model.gguf'), text)
      expect(await fetchFile(file, folder, sending('weights'))).toBe('fetched')
      expect(readFileSync(join(folder, 'model.gguf'), 'utf8')).toBe('weights')
    }
  })

  it('keeps what was there, and nothing new, when what comes is not what was named', async () => {
    mkdirSync(folder)
    writeFileSync(join(folder, 'model.gguf'), 'older')
    const fails = async (parts: (string | Error)[], said: string) => {
      await expect(fetchFile(wanted('model.gguf'), folder, sending(...parts))).rejects.toThrow(said)
      expect(all()).toEqual(['into', 'into/model.gguf'])
      expect(readFileSync(join(folder, 'model.gguf'), 'utf8')).toBe('older')
    }
    await fails(['WEIGHTS'], 'model.gguf was not fetched into')
    await fails(['WEIGHTS'], 'has another content than the model names')
    await fails(['weig'], 'has 4 bytes; the model names 7')
    await fails(['weights', 'and more'], 'is longer than the 7 bytes')
    await fails(['wei', new OperatingError('cut', 'give-up', 'the connection was cut')], 'the connection was cut')
  })

  it('stays inside its folder', async () => {
    for (const path of ['../x', '/etc/x', 'a/../../x', 'a//x', './x', 'a\\..\\x', 'a\0b', '', '..', 'a/'])
      expect(() => partsOf(path), path).toThrow('names a file outside its folder')
    await expect(fetchFile(wanted('../x'), folder, sending('weights'))).rejects.toMatchObject({ code: 'outside' })
    expect(all()).toEqual([])
  })

  it('follows no link out of it', async () => {
    mkdirSync(folder)
    mkdirSync(join(dir, 'outside'))
    symlinkSync(join(dir, 'outside'), join(folder, 'linked'))
    for (const path of ['linked/x', 'linked/deep/x'])
      await expect(fetchFile(wanted(path), folder, sending('weights'))).rejects.toMatchObject({ code: 'outside' })
    expect(readdirSync(join(dir, 'outside'))).toEqual([])
    // A link in the file's own place is replaced, what it leads to is left alone.
    writeFileSync(join(dir, 'outside/precious'), 'precious')
    symlinkSync(join(dir, 'outside/precious'), join(folder, 'model.gguf'))
    expect(await fetchFile(wanted('model.gguf', 'precious'), folder, sending('precious'))).toBe('fetched')
    expect(lstatSync(join(folder, 'model.gguf')).isFile()).toBe(true)
    expect(readFileSync(join(dir, 'outside/precious'), 'utf8')).toBe('precious')
  })

  it('follows links that stay inside, and the folder itself may be one', async () => {
    mkdirSync(join(dir, 'real/a'), { recursive: true })
    symlinkSync(join(dir, 'real'), folder)
    symlinkSync('a', join(dir, 'real/b'))
    expect(await fetchFile(wanted('b/x'), folder, sending('weights'))).toBe('fetched')
    expect(readFileSync(join(dir, 'real/a/x'), 'utf8')).toBe('weights')
  })

  it('says what is in its way', async () => {
    mkdirSync(join(folder, 'model.gguf'), { recursive: true })
    await expect(fetchFile(wanted('model.gguf'), folder, sending('weights'))).rejects.toThrow(
      'a folder is in its place',
    )
    writeFileSync(join(folder, 'file'), '')
    await expect(fetchFile(wanted('file/x'), folder, sending('weights'))).rejects.toThrow('a file is in the way')
    expect(readdirSync(folder).sort()).toEqual(['file', 'model.gguf'])
  })
})
