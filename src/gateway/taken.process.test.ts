import { createServer } from 'node:net'
import { afterAll, expect, it } from 'vitest'
import { TestFactory } from '../cli/factory.fixture.ts'

const factory = new TestFactory()
afterAll(() => factory.remove())

it('`up` with the port of its gateway taken says so and ends, whoever took it', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const address = other.address()
  const port = String(typeof address === 'object' ? address?.port : address)
  const said = `millwright: port ${port} on 127.0.0.1 is taken; choose another with --gateway-port, or 0 for a free one\n`
  const ended = { status: 1, stdout: '', stderr: said }
  expect(factory.millwright('up', '--port', '0', '--gateway-port', port)).toEqual(ended)
  await new Promise((resolve) => other.close(resolve))
  expect(factory.millwright('up', '--port', port, '--gateway-port', port)).toEqual(ended)
})
