using System.CommandLine;

namespace OutlierPipeline.Service.Access;

/// <summary><c>key</c>: draws an API key.</summary>
internal static class KeyCommand
{
    public static async Task<int> RunAsync(string[] args)
    {
        var name = new Argument<string>("name") { Description = "Who will use it: stands beside what is done with it" };
        var scopes = new Option<Scope[]>("--scopes")
        {
            Description = "What it may do: Read, Acknowledge, Subscribe, separated by commas",
            DefaultValueFactory = _ => [Scope.Read],
            CustomParser = result =>
            {
                var parsed = new List<Scope>();
                foreach (string word in result.Tokens.SelectMany(token =>
                    token.Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)))
                {
                    if (Enum.TryParse<Scope>(word, ignoreCase: true, out var scope) && Enum.IsDefined(scope)) parsed.Add(scope);
                    else result.AddError($"--scopes {word}: expected Read, Acknowledge or Subscribe");
                }
                return [.. parsed];
            },
        };
        var command =
            new RootCommand("Makes an API key, and prints what to configure for it. The key is shown once and stored nowhere.") { name,
            scopes };
        command.SetAction(options =>
        {
            string key = ApiKey.Create();
            string entry = options.GetRequiredValue(name);
            Console.WriteLine($"key (give it to {entry}, it is shown only now): {key}");
            Console.WriteLine("configuration of the service:");
            Console.WriteLine($"  Api__Keys__{entry}__Hash={ApiKey.HashOf(key)}");
            int index = 0;
            foreach (var scope in options.GetRequiredValue(scopes).Distinct())
                Console.WriteLine($"  Api__Keys__{entry}__Scopes__{index++}={scope}");
        });
        var arguments = command.Parse(args);
        int code = await arguments.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        return arguments.Errors.Count > 0 ? 2 : code;
    }
}
