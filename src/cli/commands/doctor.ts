import { execFile } from 'node:child_process'
import { existsSync, statfsSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { messageOf } from '../../base/errors.ts'
import { factoryDir } from '../../runtime/paths.ts'
import { version } from '../../runtime/version.ts'
import { oneOf } from '../arguments.ts'
import { type Choice, choose, connectTo, readConnection } from '../connect.ts'
import { exit } from '../exit.ts'
import { makeFolder } from '../folder.ts'
import type { Global } from '../global.ts'
import { paint, table } from '../output.ts'

interface Finding {
  what: string
  state: 'ok' | 'note' | 'wrong'
  detail: string
}

export async function doctor(options: { output?: string }, global: Global): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json'], 'text')
  const dir = factoryDir(global.dir)
  const findings = [
    node(),
    machine(),
    folder(dir),
    ...(await Promise.all([
      gpus(),
      tool('docker', ['version', '--format', '{{.Server.Version}}'], 'containers (image:) run'),
      tool('kubectl', ['version', '--client', '-o', 'json'], 'kubectl works against the factory', clientVersion),
      engine(),
      factory(global),
    ])),
  ]
  if (output === 'json') console.log(JSON.stringify(findings, null, 2))
  else
    console.log(
      table(
        ['CHECK', 'STATE', 'DETAIL'],
        findings.map((finding) => [finding.what, mark(finding.state), finding.detail]),
      ),
    )
  if (findings.some((finding) => finding.state === 'wrong')) process.exitCode = exit.failed
}

const mark = (state: Finding['state']) =>
  state === 'ok' ? paint.green('ok   ') : state === 'note' ? paint.yellow('note ') : paint.red('wrong')

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const enough = major > 20 || (major === 20 && minor >= 19)
  return {
    what: 'node',
    state: enough ? 'ok' : 'wrong',
    detail: `${process.versions.node}${enough ? '' : '; 20.19 or newer is needed'} (millwright ${version})`,
  }
}

function machine(): Finding {
  return {
    what: 'machine',
    state: 'ok',
    detail: `${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB, ${process.platform}/${process.arch}`,
  }
}

function folder(dir: string): Finding {
  try {
    makeFolder(dir)
    const disk = statfsSync(dir)
    const free = (disk.bavail * disk.bsize) / 2 ** 30
    return {
      what: 'folder',
      state: free < 1 ? 'wrong' : 'ok',
      detail: `${dir}, ${free.toFixed(1)} GiB free${free < 1 ? '; make room or choose another with --dir' : ''}`,
    }
  } catch (error) {
    return { what: 'folder', state: 'wrong', detail: messageOf(error) }
  }
}

async function tool(name: string, args: string[], use: string, read = firstLine): Promise<Finding> {
  try {
    const { stdout } = await promisify(execFile)(name, args, { timeout: 5000 })
    return { what: name, state: 'ok', detail: `${read(stdout)}; ${use}` }
  } catch {
    return { what: name, state: 'note', detail: `does not answer; with it ${use}` }
  }
}

const firstLine = (text: string) => text.trim().split('\n')[0] ?? ''

function clientVersion(text: string): string {
  const { clientVersion } = JSON.parse(text) as { clientVersion?: { gitVersion?: string } }
  return clientVersion?.gitVersion ?? 'of an unknown version'
}

async function gpus(): Promise<Finding> {
  const found = await tool('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'], 'GPUs are offered')
  return found.state === 'ok'
    ? { ...found, what: 'gpu' }
    : { what: 'gpu', state: 'note', detail: 'no NVIDIA driver answers; CPU slots are offered' }
}

async function engine(): Promise<Finding> {
  try {
    import.meta.resolve('node-llama-cpp')
    return { what: 'llama.cpp', state: 'ok', detail: 'engine: llama.cpp serves GGUF models' }
  } catch {
    return {
      what: 'llama.cpp',
      state: 'note',
      detail: 'not installed; `npm install node-llama-cpp@3.20.0` gives engine: llama.cpp',
    }
  }
}

/** Which factory a command would talk to, why that one, and whether it answers. */
async function factory(global: Global): Promise<Finding> {
  const what = 'factory'
  let choice: Choice
  try {
    choice = await choose(global)
  } catch (error) {
    return { what, state: 'wrong', detail: messageOf(error) }
  }
  const { dir, how } = choice
  const running = dir === undefined ? undefined : readConnection(dir)
  if (dir !== undefined && running === undefined)
    return { what, state: 'note', detail: `none runs in ${dir} (chosen by ${how}); \`millwright up\` starts one` }
  try {
    const { client, url } = connectTo(choice)
    await client.list('Node', {})
    client.close()
    const process = running === undefined ? '' : ` (pid ${running.pid})`
    return { what, state: 'ok', detail: `answers at ${url}${process}; chosen by ${how}` }
  } catch (error) {
    const gone = running !== undefined && !existsSync(`/proc/${running.pid}`)
    const hint = gone ? `; process ${running.pid} is gone, \`millwright up\` starts it again` : ''
    return { what, state: 'wrong', detail: `${messageOf(error)}${hint}; chosen by ${how}` }
  }
}
