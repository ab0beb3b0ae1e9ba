# Completion of oras for PowerShell: asks oras what may stand at the cursor.

Register-ArgumentCompleter -Native -CommandName 'oras' -ScriptBlock {
    param($current, $line, $position)
    $words = @($line.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { "$_" })
    $program = $words[0]
    $arguments = @($words | Select-Object -Skip 1)
    # An empty argument would get lost on the way to a program in older versions.
    $last = if ($current -eq '' -and $PSVersionTable.PSVersion -lt [version]'7.3') { '""' } else { $current }
    $directive = 4
    $candidates = foreach ($answer in (& $program __complete @arguments $last 2>$null)) {
        if ($answer -match '^:(\d+)$') { $directive = [int]$Matches[1]; continue }
        $value, $meaning = $answer -split "`t", 2
        $space = ''
        [System.Management.Automation.CompletionResult]::new("$value$space", $value, 'ParameterValue', $(if ($meaning) { $meaning } else { $value }))
    }
    if ($candidates) { return $candidates }
    # Nothing: PowerShell completes names of files, unless it is given something.
    if ($directive -band 4) { return '' }
}
