namespace OutlierPipeline.Models;

/// <summary>Writes a model package aside and puts it in its place when it is whole.</summary>
public static class ModelPackageWriter
{
    private const string Preview = "preview/";

    /// <param name="directory">The package's place; what is there is replaced.</param>
    /// <param name="card">Its <see cref="ModelCard.Files"/> are filled in here.</param>
    /// <param name="files">Contents by path within the package, <c>model.json</c> excepted.</param>
    /// <exception cref="ModelPackageException">What was written does not load: a fault of whoever made it. The old package
    /// stays.</exception>
    public static ModelPackage Write(string directory, ModelCard card, IReadOnlyDictionary<string, byte[]> files) =>
        Write(directory, card, files, path => ModelPackage.Load(path));

    /// <summary>Writes a package that only draws.</summary>
    /// <inheritdoc cref="Write(string, ModelCard, IReadOnlyDictionary{string, byte[]})"/>
    public static ModelCard WriteDrawing(string directory, ModelCard card, IReadOnlyDictionary<string, byte[]> files) =>
        Write(directory, card, files, path => ModelPackage.ReadDecoder(path).Card);

    /// <summary>Writes a package that translates.</summary>
    /// <inheritdoc cref="Write(string, ModelCard, IReadOnlyDictionary{string, byte[]})"/>
    public static ModelCard WriteTranslating(string directory, ModelCard card, IReadOnlyDictionary<string, byte[]> files) =>
        Write(directory, card, files, path => new[] { TranslationCard.ToMap, TranslationCard.ToPicture }.Where(files.ContainsKey)
            .Select(graph => ModelPackage.ReadTranslator(path, graph).Card).Last());

    private static T Write<T>(string directory, ModelCard card, IReadOnlyDictionary<string, byte[]> files, Func<string, T> load)
    {
        directory = Path.GetFullPath(directory).TrimEnd(Path.DirectorySeparatorChar);
        string aside = directory + ".writing";
        string old = directory + ".old";
        Clear(aside);
        try
        {
            foreach (var (name, content) in files)
            {
                string file = Path.Combine(aside, name);
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                File.WriteAllBytes(file, content);
            }
            card = card with
            {
                Files = files.Where(file => !file.Key.StartsWith(Preview, StringComparison.Ordinal)).ToDictionary(file =>
                file.Key, file => ModelPackage.DigestOf(file.Value))
            };
            File.WriteAllBytes(Path.Combine(aside, "model.json"), card.ToJson());
            _ = load(aside);
            Clear(old);
            if (Directory.Exists(directory)) Directory.Move(directory, old);
            Directory.Move(aside, directory);
            Clear(old);
        }
        catch
        {
            Clear(aside);
            throw;
        }
        return load(directory);
    }

    /// <summary>Every file of a package as it is, to be written again with changes.</summary>
    public static Dictionary<string, byte[]> ReadAll(ModelPackage package)
    {
        var files = package.Card.Files.Keys.ToDictionary(name => name, package.ReadFile);
        string preview = Path.Combine(package.Path, Preview);
        if (Directory.Exists(preview))
        {
            foreach (string file in Directory.EnumerateFiles(preview)) files[Preview + Path.GetFileName(file)] = File.ReadAllBytes(file);
        }
        return files;
    }

    private static void Clear(string directory)
    {
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }
}
