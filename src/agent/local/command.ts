import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { messageOf } from '../../base/errors.ts'
import type { Refusal } from '../contract.ts'

/**
 * Looks for the program as the kernel would, before anything is started: "command not found" is then a sentence in the
 * pod's status, told apart from a program that exits with 127 by itself.
 */
export function checkCommand(command: readonly string[], path: string, workingDir: string): Refusal | undefined {
  const [program] = command
  if (program === undefined || program === '')
    return refuse('the pod names no command; without a container image there is nothing to run')
  if (!isFolder(workingDir)) return refuse(`the working directory ${workingDir} does not exist`)
  if (program.includes('/')) return checkFile(program, isAbsolute(program) ? program : resolve(workingDir, program))
  let best: Refusal | undefined
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue
    const problem = checkFile(program, join(folder, program))
    if (problem === undefined) return undefined
    if (problem.message.includes('not found')) continue
    best ??= problem
  }
  return best ?? refuse(`command not found: ${program}; it is not in the PATH of pods here`)
}

function checkFile(program: string, file: string): Refusal | undefined {
  let info: Stats | undefined
  try {
    info = statSync(file, { throwIfNoEntry: false })
  } catch (error) {
    // A folder that may not be searched, or the like; the program may be in a later one.
    return refuse(`${file} cannot be looked at: ${messageOf(error)}`)
  }
  if (info === undefined) return refuse(`command not found: ${program}; there is no file ${file}`)
  if (info.isDirectory()) return refuse(`${program} is a folder, not a program`)
  try {
    accessSync(file, constants.X_OK)
    return undefined
  } catch {
    return refuse(`permission denied: ${file} is not executable; run chmod +x ${file}, or name its interpreter first`)
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

function refuse(message: string): Refusal {
  return { refused: true, reason: 'StartError', message }
}
