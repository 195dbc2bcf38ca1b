import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { TextFile } from '../compile/documents.ts'
import { Exit, exit } from './exit.ts'
import { readText } from './read-text.ts'

/** What stands in the files that `-f` names, folders of them included. */
export function textsOf(files: string[]): TextFile[] {
  if (files.length === 0) throw new Exit(exit.usage, 'name at least one file with -f (or - for standard input).')
  return files.flatMap(filesIn).map((name) => ({ name: name === '-' ? 'standard input' : name, text: readText(name) }))
}

/** Of a folder: its YAML and JSON files, by name; what lies in folders below it is not read. */
function filesIn(name: string): string[] {
  if (name === '-' || statSync(name, { throwIfNoEntry: false })?.isDirectory() !== true) return [name]
  const found = readdirSync(name, { withFileTypes: true }).filter(
    (entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name),
  )
  if (found.length === 0) throw new Exit(exit.usage, `${name} holds no *.yaml, *.yml or *.json.`)
  return found.map((entry) => join(name, entry.name)).toSorted()
}
