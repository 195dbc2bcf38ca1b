import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { readDocuments } from '../compile/documents.ts'
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
