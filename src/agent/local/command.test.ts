import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'
import { checkCommand } from './command.ts'

test('a folder of the PATH that cannot be searched hides nothing in a later one', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'command-'))
  const loop = join(dir, 'loop')
  await symlink(loop, loop) // as no permission, but for root too
  const path = [loop, '/bin'].join(delimiter)
  expect(checkCommand(['sh'], path, dir)).toBeUndefined()
  const refusal = { refused: true, reason: 'StartError' }
  expect(checkCommand(['no-such'], path, dir)).toEqual({
    ...refusal,
    message: expect.stringContaining(`${loop}/no-such cannot be looked at: ELOOP`),
  })
  expect(checkCommand([`${loop}/sh`], path, dir)).toMatchObject(refusal)
  await rm(dir, { recursive: true })
})
