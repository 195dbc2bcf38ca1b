import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { readDocuments } from '../compile/documents.ts'
import { faultKinds, faults } from '../model/faults.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'

const repository = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const inShell = (command: string) => spawnSync('sh', ['-c', command], { cwd: repository, encoding: 'utf8' }).stdout

it('the jobs of README and examples, made as they say, find their scripts', () => {
  const heredoc = /^cat > job\.yaml (<<EOF\n[\s\S]*?^EOF$)/m.exec(read('README.md'))?.[1]
  const pipe = /^# +(sed .*) \| millwright apply -f -$/m.exec(read('examples/pytorch/job.yaml'))?.[1]
  for (const command of [`cat ${heredoc}`, pipe ?? '']) {
    const made = readDocuments([{ name: 'job.yaml', text: inShell(command) }])
    if ('errors' in made) throw new Error(JSON.stringify(made.errors))
    const { command: words = [], workingDir = '' } = (made.documents[0] as { admitted: TrainingJob }).admitted.spec
    expect(isAbsolute(workingDir)).toBe(true)
    expect(existsSync(resolve(workingDir, words[1] ?? ''))).toBe(true)
  }
})

it('the drills of docs and examples are drills, and the page lists what can go wrong as the model has it', () => {
  const page = read('docs/drills.md')
  const shown = /^```yaml\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? ''
  const folder = join(repository, 'examples/drills')
  const files = readdirSync(folder).filter((name) => !/^(job|scenario)/.test(name))
  const texts = [
    { name: 'docs/drills.md', text: shown },
    ...files.map((name) => ({ name, text: read(join('examples/drills', name)) })),
  ]
  for (const text of texts) {
    const made = readDocuments([text])
    expect('documents' in made && made.documents.map(({ admitted }) => admitted.kind), text.name).toEqual(['Drill'])
  }
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| .*? \| (.*?) ?\| (.*?) \|/gm)].filter(([, kind]) =>
    faultKinds.some((one) => one === kind),
  )
  expect(
    rows.map(([, kind, takes = '', worlds]) => [
      kind,
      [...takes.matchAll(/`(\w+)`/g)].map(([, field]) => field),
      worlds,
    ]),
  ).toEqual(faultKinds.map((kind) => [kind, faults[kind].fields, faults[kind].worlds.join(', ')]))
})
