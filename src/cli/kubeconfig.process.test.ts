import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bin, TestFactory } from './factory.fixture.ts'
import { writeEchoService } from './serve.fixture.ts'

const factory = new TestFactory()
const kubeconfig = join(factory.dir, 'kc')
let token = ''

/** From somewhere else: the folder has no factory, and nothing but the kubeconfig says where one is. */
const elsewhere = (...words: string[]) => factory.run(['--kubeconfig', kubeconfig, ...words])

beforeAll(async () => {
  await factory.up('--slots', '4')
  token = readFileSync(join(factory.home, 'token'), 'utf8').trim()
  writeFileSync(kubeconfig, factory.millwright('kubeconfig').stdout)
})
afterAll(() => factory.remove())

describe('a kubeconfig of a factory on this machine', () => {
  it('leads every command to it', () => {
    expect(elsewhere('get', 'jobs')).toMatchObject({ status: 0, stderr: 'No trainingjobs in namespace default.\n' })
    expect(elsewhere('run', '--name', 'hello', '--', 'echo', 'hi')).toMatchObject({ status: 0, stdout: 'hi\n' })
    expect(elsewhere('get', 'jobs', '-o', 'name').stdout).toBe('trainingjob/hello\n')
    expect(JSON.parse(elsewhere('get', 'job', 'hello', '-o', 'json').stdout)).toMatchObject({ kind: 'TrainingJob' })
    expect(elsewhere('get', 'job', 'hello', '-o', 'yaml').stdout).toContain('kind: TrainingJob\n')
    expect(elsewhere('get', 'jobs', '-o', 'wide').stdout).toMatch(/^NAME .*\nhello +Succeeded/)
    expect(elsewhere('describe', 'job', 'hello').stdout).toContain('TrainingJob/hello')
    expect(elsewhere('logs', 'hello').stdout).toBe('hi\n')
    expect(elsewhere('status').stdout).toMatch(/^factory https:\/\/127\.0\.0\.1:/)
    expect(elsewhere('why', 'hello').stdout).toContain('hello')
    expect(elsewhere('queue').stdout).toBe('Nothing runs and nothing waits.\n')
    expect(elsewhere('ledger').stdout).toContain('the buckets add up to')
    expect(elsewhere('kubeconfig').stdout).toBe(readFileSync(kubeconfig, 'utf8'))
    expect(elsewhere('delete', 'job', 'hello').stdout).toBe('trainingjob/hello deleted\n')
  })

  it('leads chat to its gateway', () => {
    const file = writeEchoService(factory.dir, 'echo')
    expect(elsewhere('plan', '-f', file).stdout).toContain('echo')
    expect(elsewhere('apply', '-f', file).stdout).toBe('inferenceservice/echo created\n')
    expect(elsewhere('chat', 'echo', 'hail')).toMatchObject({ status: 0, stdout: 'well met\n' })
    expect(elsewhere('delete', '-f', file, '--no-wait').status).toBe(0)
  })

  it("may be named after the command, and by the variable; kubectl's variable is not read", () => {
    expect(factory.run(['get', 'nodes', '-o', 'name', '--kubeconfig', kubeconfig]).status).toBe(0)
    expect(factory.run(['model', 'list', '--kubeconfig', kubeconfig]).status).toBe(0)
    expect(factory.run(['get', 'nodes'], { MILLWRIGHT_KUBECONFIG: kubeconfig }).status).toBe(0)
    expect(factory.run(['get', 'nodes'], { KUBECONFIG: kubeconfig })).toMatchObject({ status: 4 })
  })

  it('gives the namespace in which commands work, and an option goes before it', () => {
    const file = join(factory.dir, 'kc-team')
    writeFileSync(file, factory.millwright('-n', 'team', 'kubeconfig').stdout)
    const at = (...words: string[]) => factory.run([...words, '--kubeconfig', file])
    const team = join(factory.dir, 'team.yaml')
    writeFileSync(team, 'apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n')
    expect(factory.millwright('apply', '-f', team).status).toBe(0)
    const manifest = join(factory.dir, 'job.yaml')
    const text =
      'apiVersion: millwright.dev/v1alpha1\nkind: TrainingJob\nmetadata: {name: there}\nspec: {command: [sleep, "1000"], suspend: true}\n'
    writeFileSync(manifest, text)
    expect(at('apply', '-f', manifest).stdout).toBe('trainingjob/there created\n')
    expect(at('get', 'jobs', '-o', 'name').stdout).toBe('trainingjob/there\n')
    expect(at('get', 'jobs', '-o', 'name', '-n', 'default').stdout).toBe('')
    expect(factory.millwright('get', 'jobs', '-n', 'team', '-o', 'name').stdout).toBe('trainingjob/there\n')
    expect(at('resume', 'there').status).toBe(0)
    expect(at('suspend', 'there').status).toBe(0)
    expect(at('delete', '-f', manifest).stdout).toBe('trainingjob/there deleted\n')
  })

  it('of another token is refused by the factory, of another authority by us, and no token is shown', () => {
    const text = readFileSync(kubeconfig, 'utf8')
    const wrong = join(factory.dir, 'kc-wrong')
    writeFileSync(wrong, text.replace(token, 'another-token-0123456789'))
    const refused = factory.run(['--kubeconfig', wrong, 'get', 'jobs'])
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('Unauthorized') })
    expect(refused.stderr).not.toContain('another-token')
    writeFileSync(wrong, text.replace(/ +certificate-authority-data: .*\n/, ''))
    expect(factory.run(['--kubeconfig', wrong, 'get', 'jobs'])).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('signed by nobody that is trusted here'),
    })
    writeFileSync(wrong, text.replace('token:', 'exec:'))
    const unusable = factory.run(['--kubeconfig', wrong, 'get', 'jobs'])
    expect(unusable).toMatchObject({ status: 2, stderr: expect.stringContaining('users[0].user.exec') })
    expect(unusable.stderr).not.toContain(token)
  })
})

it('an address that is none, and one where nobody answers, are told apart', () => {
  expect(factory.run(['--server', 'localhost:7070', 'get', 'jobs'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('"localhost:7070" is not an address'),
  })
  expect(factory.run(['--server', 'https://127.0.0.1:1', 'get', 'jobs'])).toMatchObject({
    status: 4,
    stderr: expect.stringContaining('nothing listens there'),
  })
})

describe('doctor', () => {
  const factoryLine = (words: string[], env: Record<string, string> = {}) => {
    const answer = factory.run(['doctor', '-o', 'json', ...words], env)
    const findings: { what: string; state: string; detail: string }[] = JSON.parse(answer.stdout)
    const found = findings.find(({ what }) => what === 'factory')
    return [answer.status, found?.state, found?.detail]
  }

  it('says which factory commands would talk to, and how it was chosen', () => {
    const answers = /^answers at https:\/\/127\.0\.0\.1:\d+; chosen by /
    const chosen = factoryLine(['--kubeconfig', kubeconfig])
    expect(chosen).toEqual([0, 'ok', expect.stringMatching(answers)])
    expect(chosen[2]).toContain(`chosen by --kubeconfig ${kubeconfig}, context millwright`)
    expect(factoryLine([], { MILLWRIGHT_KUBECONFIG: kubeconfig })[2]).toContain('by MILLWRIGHT_KUBECONFIG=')
    expect(factoryLine(['--dir', factory.home])[2]).toMatch(/^answers at http:.* \(pid \d+\); chosen by --dir$/)
    const none = [0, 'note', expect.stringMatching(/^none runs in .*nowhere \(chosen by MILLWRIGHT_DIR\)/)]
    expect(factoryLine([], { MILLWRIGHT_DIR: join(factory.dir, 'nowhere') })).toEqual(none)
  })

  it('says what is wrong with what was chosen', () => {
    const server = 'http://127.0.0.1:1'
    expect(factoryLine(['--server', server])).toEqual([
      1,
      'wrong',
      expect.stringMatching(/^cannot reach the factory at http:\/\/127.0.0.1:1: nothing listens.*chosen by --server$/),
    ])
    const both = { MILLWRIGHT_SERVER: server, MILLWRIGHT_KUBECONFIG: kubeconfig }
    expect(factoryLine([], both)).toEqual([1, 'wrong', expect.stringContaining('both name a factory')])
  })
})

describe('completion in bash', () => {
  const complete = (...words: string[]) => {
    const script = `source <(${process.execPath} ${bin} completion bash)
      millwright() { ${process.execPath} ${bin} "$@"; }
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millwright; echo "\${COMPREPLY[@]}"`
    const answer = spawnSync('bash', ['-c', script, 'bash', 'millwright', ...words], {
      encoding: 'utf8',
      cwd: factory.dir,
    })
    return answer.stdout.trim().split(' ')
  }

  it('knows the options that choose a factory, and asks that factory for names', () => {
    expect(complete('--')).toEqual(expect.arrayContaining(['--kubeconfig', '--context', '--certificate-authority']))
    expect(complete('--kubeconfig', 'kc')).toEqual(expect.arrayContaining(['kc', 'kc-team']))
    expect(complete('--kubeconfig', 'kc', 'descr')).toEqual(['describe'])
    expect(complete('--kubeconfig', 'kc', 'get', 'queu')).toEqual(['queues'])
    expect(complete('--kubeconfig', 'kc', 'get', 'queues', '')).toEqual(['default'])
  })
})
